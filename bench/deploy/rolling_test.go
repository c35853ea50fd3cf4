package deploy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

const (
	stopLimit  = 10 * time.Second // for a graceful stop
	readyLimit = time.Minute      // for a start; more than it should ever take
)

// member is one member of a cluster under test.
type member interface {
	Called() string
	Client() string     // host:port of the client port
	Operations() string // and of the operations port
	Start() error
	Stop() error // as SIGTERM does; an error unless it exits with 0 within stopLimit
}

// waitReady waits until a member says that clients may come.
func waitReady(ctx context.Context, m member) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	var last error
	for {
		if last = probe(ctx, c, "http://"+m.Operations()+"/readyz"); last == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("%s isn't ready: %w", m.Called(), last)
		}
	}
}

func probe(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// addresses are the client ports of members.
func addresses[M member](members []M) (list []string) {
	for _, m := range members {
		list = append(list, m.Client())
	}
	return list
}

// rollingRestart stops and starts one member after the other, as an upgrade
// does, some rounds over, under load: no request of a client with two endpoints
// and one retry may fail.
func rollingRestart[M member](t *testing.T, members []M, rounds int) {
	t.Helper()
	l := startLoad(t, addresses(members))
	for range rounds {
		for _, m := range members {
			began := time.Now()
			if err := m.Stop(); err != nil {
				t.Error(err)
			}
			stopped := time.Now()
			if err := m.Start(); err != nil {
				t.Fatal(err)
			}
			if err := waitReady(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s stop %s: within %v, ready %v later", began.Format("15:04:05.000"), m.Called(),
				stopped.Sub(began).Round(time.Millisecond), time.Since(stopped).Round(time.Millisecond))
		}
	}
	l.check(t, addresses(members))
}

func TestRollingRestartOfProcesses(t *testing.T) {
	rollingRestart(t, startCluster(t, 3), 2)
}
