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
)

// process is a member that runs on this machine.
type process struct {
	*peer.Server
	operations string // host:port
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
		operations := ports[2*size+i]
		s, err := peer.Prepare(peer.Copse, peer.Options{Args: []string{"--listen-metrics-urls=http://" + operations}}, peer.Place{
			Name: fmt.Sprintf("m%d", i+1), Address: ports[i], PeerURL: "http://" + ports[size+i], Cluster: strings.Join(cluster, ","),
		})
		if err != nil {
			t.Fatal(err)
		}
		m := process{Server: s, operations: operations}
		members = append(members, m)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("end of %s's log:\n%s", s.Name, s.LogTail())
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range members {
		awaitReady(t, m)
	}
	return members
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
	// A connection that is kept would outlive the member.
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
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
