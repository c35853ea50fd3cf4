package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"copse/bench/peer"
	"copse/bench/v2api"
)

// Time limits for a cluster to serve, and for its leaders to spread.
const (
	serveLimit  = time.Minute
	spreadLimit = time.Minute
)

// threeMembers starts a cluster and measures it twice, with the same number of busy
// shards: first shards with one common leader, then shards with a leader each.
func threeMembers(o shardOptions, shards int, together, spread *scaled) (err error) {
	members, err := startMembers(together.kind, 3, peer.Sharded(together.kind, shards))
	defer func() {
		for _, m := range members {
			err = errors.Join(err, m.Close())
		}
	}()
	if err != nil {
		return err
	}
	led, err := awaitSpread(members[0], len(members))
	if err != nil {
		return err
	}
	var apart, one []int
	for _, slots := range led {
		apart = append(apart, slots[0])
		if len(slots) > len(one) {
			one = slots
		}
	}
	if len(one) < len(apart) {
		return fmt.Errorf("no member leads %d shards: %v", len(apart), led)
	}
	for _, s := range []struct {
		line  *scaled
		slots []int
	}{{together, one[:len(apart)]}, {spread, apart}} {
		names := topNames(s.slots, shards, max(o.names, len(s.slots)))
		if err := s.line.measure(o, putsBelow(names, valueSize), members...); err != nil {
			return fmt.Errorf("%s: %w", s.line.name, err)
		}
	}
	return nil
}

// startMembers starts a cluster on the loopback and waits until it serves. The
// caller closes the members, also after an error.
func startMembers(kind peer.Kind, n int, args []string) (members []*peer.Server, err error) {
	ports, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 2*n)
	if err != nil {
		return nil, err
	}
	var places []peer.Place
	var cluster []string
	for i := range n {
		p := peer.Place{Name: fmt.Sprintf("m%d", i), Address: ports[2*i], PeerURL: "http://" + ports[2*i+1], Token: "figures"}
		places, cluster = append(places, p), append(cluster, p.Name+"="+p.PeerURL)
	}
	for _, p := range places {
		p.Cluster = strings.Join(cluster, ",")
		m, err := peer.Prepare(kind, peer.Options{Args: args}, p)
		if err != nil {
			return members, err
		}
		members = append(members, m)
		if err := m.Relaunch(); err != nil {
			return members, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), serveLimit)
	defer cancel()
	for _, m := range members {
		if err := m.WaitReady(ctx); err != nil {
			return members, fmt.Errorf("%s: %w\n%s", m.Name, err, m.LogTail())
		}
	}
	return members, nil
}

// awaitSpread waits until each member leads a shard, and returns the slots that
// each leads.
func awaitSpread(m *peer.Server, members int) (map[string][]int, error) {
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(spreadLimit); ; <-poll.C {
		led, err := leaders(m.URL)
		if err == nil && len(led) == members {
			return led, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the leaders are not spread after %v: %v, %w", spreadLimit, led, err)
		}
	}
}

func getJSON(url string, into any) error {
	return v2api.GetJSON(context.Background(), v2api.NewClient(nil, answerLimit), url, into)
}

// leaders are the slots that each member leads, by its id.
func leaders(url string) (map[string][]int, error) {
	var known struct {
		Shards []struct {
			Slot   int    `json:"slot"`
			Leader string `json:"leader"`
		} `json:"shards"`
	}
	if err := getJSON(url+"/v2/copse/shards", &known); err != nil {
		return nil, err
	}
	led := map[string][]int{}
	for _, s := range known.Shards {
		if s.Leader == "" {
			return nil, fmt.Errorf("shard %d has no leader", s.Slot)
		}
		led[s.Leader] = append(led[s.Leader], s.Slot)
	}
	return led, nil
}
