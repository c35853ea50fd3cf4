package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	"copse/bench/peer"
)

// clusterLoad is a way for clients to write to a cluster.
type clusterLoad struct {
	how string
	to  func(members []*peer.Server) ([]*peer.Server, error)
}

var clusterLoads = []clusterLoad{
	{"all on the leader", leader},
	{"as many on each", func(members []*peer.Server) ([]*peer.Server, error) { return members, nil }},
}

// members compares writes to a cluster of three, all on this machine. Each kind has
// it for itself while it is measured.
func members(args []string) error {
	var o requestOptions
	flags := flag.NewFlagSet("members", flag.ContinueOnError)
	o.kinds(flags)
	o.timing(flags, 5, 2*time.Second, 5*time.Second)
	connections := flags.Int("connections", 64, "connections that write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var bouts []*bout
	for _, l := range clusterLoads {
		bouts = append(bouts, &bout{readings: map[string][]reading{}, workload: workload{
			name:        fmt.Sprintf("PUT %d bytes, three members, %d connections, %s", valueSize, *connections, l.how),
			connections: *connections, source: putsBelow(evenNames(1), valueSize), targets: targets{rateAtLeast: 1.5},
		}})
	}
	for round := range o.rounds {
		for i := range o.servers {
			kind := o.servers[(i+round)%len(o.servers)]
			turn("round %d: three of %s", round+1, kind)
			if err := measureCluster(o, kind, bouts); err != nil {
				return fmt.Errorf("round %d: %s: %w", round+1, kind, err)
			}
		}
	}
	fmt.Printf("`go run ./figures members %s` (%s; commit %s; %s)\n\n%s", strings.Join(args, " "), machine(), commit(), noise(bouts), requestTable(bouts))
	return nil
}

// measureCluster starts a cluster, measures each load, and ends it. CPU and memory are
// those of all members together.
func measureCluster(o requestOptions, kind peer.Kind, bouts []*bout) (err error) {
	cluster, err := startMembers(kind, 3, nil)
	defer func() {
		for _, m := range cluster {
			err = errors.Join(err, m.Close())
		}
	}()
	if err != nil {
		return err
	}
	for i, l := range clusterLoads {
		asked, err := l.to(cluster)
		if err != nil {
			return err
		}
		r, _, err := drive(o, bouts[i].workload, asked, cluster, func() error { return nil })
		if err != nil {
			return fmt.Errorf("%s: %w", l.how, err)
		}
		bouts[i].note(string(kind), r)
	}
	return nil
}

// leader is the member that leads.
func leader(members []*peer.Server) ([]*peer.Server, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: answerLimit}
	for _, m := range members {
		resp, err := client.Get(m.URL + "/v2/stats/self")
		if err != nil {
			return nil, err
		}
		var self struct {
			State string `json:"state"`
		}
		err = json.NewDecoder(resp.Body).Decode(&self)
		resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("/v2/stats/self: status %d: %w", resp.StatusCode, err)
		}
		if self.State == "StateLeader" {
			return []*peer.Server{m}, nil
		}
	}
	return nil, errors.New("no member says that it leads")
}
