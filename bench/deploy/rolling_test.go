package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	stopLimit  = 10 * time.Second // for a graceful stop
	graceLimit = 30 * time.Second // for a container's, as in the compose files: its start and end are the engine's
	readyLimit = 5 * time.Minute  // for a start; more than it should ever take
)

// member is one member of a cluster under test.
type member interface {
	Called() string
	Client() string              // host:port of the client port
	Ready(context.Context) error // nil: it says that clients may come
	Start() error
	Stop() error // as SIGTERM does; an error unless it exits with 0, in time
}

// awaitReady waits until a member says that clients may come.
func awaitReady(t *testing.T, m member) {
	t.Helper()
	await(t, m.Called()+"'s being ready", func() error { return m.Ready(t.Context()) })
}

// put writes through a member, and tries again while its cluster has no leader.
func put(t *testing.T, m member, path, value string) {
	t.Helper()
	await(t, "a write through "+m.Called(), func() error {
		return once(t, m, http.MethodPut, path, url.Values{"value": {value}}, value)
	})
}

// holds wants a member's linearizable read to give value.
func holds(t *testing.T, m member, path, value string) {
	t.Helper()
	await(t, "a read from "+m.Called(), func() error { return once(t, m, http.MethodGet, path+"?quorum=true", nil, value) })
}

// once asks a member, whose answer has to have value in it.
func once(t *testing.T, m member, method, path string, form url.Values, value string) error {
	c := &client{endpoints: [2]string{m.Client(), m.Client()}}
	defer c.close()
	a, err := c.attempt(t.Context(), method, path, form)
	if err == nil && !strings.Contains(a.body, fmt.Sprintf("%q:%q", "value", value)) {
		err = errors.New(a.body)
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
			awaitReady(t, m)
			t.Logf("%s stop %s: within %v, ready %v later", began.Format("15:04:05.000"), m.Called(),
				stopped.Sub(began).Round(time.Millisecond), time.Since(stopped).Round(time.Millisecond))
		}
	}
	l.check(t, addresses(members))
}

func TestRollingRestartOfProcesses(t *testing.T) {
	rollingRestart(t, startCluster(t, 3), 2)
}
