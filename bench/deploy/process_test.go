package deploy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"
	"copse/bench/v2api"
)

// process is a member that runs on this machine.
type process struct {
	*peer.Server
	operations string // host:port
	place      peer.Place
}

// startCluster runs a cluster of processes and waits until all are ready.
func startCluster(t *testing.T, size int) []process {
	t.Helper()
	ports, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 3*size)
	if err != nil {
		t.Fatal(err)
	}
	var cluster []string
	for i := range size {
		cluster = append(cluster, fmt.Sprintf("m%d=http://%s", i+1, ports[size+i]))
	}
	var members []process
	for i := range size {
		place := peer.Place{
			Name: fmt.Sprintf("m%d", i+1), Address: ports[i], PeerURL: "http://" + ports[size+i], Cluster: strings.Join(cluster, ","),
		}
		members = append(members, startMember(t, place, ports[2*size+i]))
	}
	for _, m := range members {
		awaitReady(t, m)
	}
	return members
}

// startMember starts one member, on data of its own, for the length of the test.
func startMember(t *testing.T, place peer.Place, operations string, args ...string) process {
	t.Helper()
	m := prepareMember(t, place, operations, args...)
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	return m
}

func prepareMember(t *testing.T, place peer.Place, operations string, args ...string) process {
	t.Helper()
	s, err := peer.Prepare(peer.Copse, peer.Options{Args: append(args, "--listen-metrics-urls=http://"+operations)}, place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of %s's log:\n%s", s.Name, s.LogTail())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return process{Server: s, operations: operations, place: place}
}

func (m process) Called() string { return m.Name }
func (m process) Client() string { return m.Address }
func (m process) Start() error   { return m.Relaunch() }

func (m process) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.operations+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := v2api.NewClient(nil, 0).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func (m process) Stop() error {
	began := time.Now()
	if err := m.Server.Stop(); err != nil {
		return err
	}
	if took := time.Since(began); took > stopLimit {
		return fmt.Errorf("stop %s: it took %v", m.Name, took)
	}
	if err := m.Exit(); err != nil {
		return fmt.Errorf("stop %s: %w", m.Name, err)
	}
	return nil
}
