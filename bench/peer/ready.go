package peer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"copse/bench/v2api"
)

const pollInterval = 10 * time.Millisecond

// WaitReady polls until a write has passed through the server's log and the server
// knows its cluster's version: setting that is the last step of an etcd that
// forms a cluster, and it takes an index.
//
// The write is an update of a missing key: it is proposed, applied and refused,
// so a fresh server still gives its first key the index that clients
// expect. It counts as one updateFail in the statistics.
func (s *Server) WaitReady(ctx context.Context) error {
	client := v2api.NewClient(s.opts.Dial, 0)
	return s.poll(ctx, func() error { return s.probe(ctx, client) })
}

// poll repeats a probe until it succeeds.
func (s *Server) poll(ctx context.Context, probe func() error) error {
	begin := time.Now()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		err := probe()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not serve after %v: %w", time.Since(begin).Round(time.Second), err)
		case <-s.proc.done:
			return fmt.Errorf("it ended before it served")
		case <-poll.C:
		}
	}
}

// WaitServing polls until the server takes connections. It writes nothing, and
// returns an error once the process has ended.
func (s *Server) WaitServing(ctx context.Context) error {
	client := v2api.NewClient(s.opts.Dial, 0)
	return s.poll(ctx, func() error {
		_, _, err := call(ctx, client, http.MethodGet, s.URL+"/version")
		return err
	})
}

func (s *Server) probe(ctx context.Context, client *http.Client) error {
	status, body, err := call(ctx, client, http.MethodGet, s.URL+"/version")
	if err != nil {
		return err
	}
	if status != http.StatusOK || strings.Contains(body, "not_decided") {
		return fmt.Errorf("/version answers %d %s", status, body)
	}
	status, body, err = call(ctx, client, http.MethodPut, s.URL+"/v2/keys/not-there?prevExist=true")
	if err != nil {
		return err
	}
	if status != http.StatusNotFound {
		return fmt.Errorf("a write answers %d %s", status, body)
	}
	return nil
}

func call(ctx context.Context, client *http.Client, method, url string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}
