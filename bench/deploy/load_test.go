package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	attemptLimit = 10 * time.Second     // longer than copse may take to say no
	pause        = 5 * time.Millisecond // between two requests of one client
	slow         = 500 * time.Millisecond
	showLimit    = 20 // failures that a test prints
)

// client has two endpoints, and stays with one as long as it answers. A request that
// fails there is retried once, at the other. It manages connections itself,
// because net/http would retry without telling.
type client struct {
	endpoints [2]string // host:port; the one in use comes first
	conn      net.Conn
	reader    *bufio.Reader
}

// answer is a member's answer.
type answer struct {
	status int
	index  string // X-Etcd-Index
	body   string
}

// do sends one request. first is the error of the first attempt; err
// is set if the second one failed as well.
func (c *client) do(ctx context.Context, method, path string, form url.Values) (a answer, first, err error) {
	a, first = c.attempt(ctx, method, path, form)
	if first == nil || ctx.Err() != nil {
		return a, nil, ctx.Err()
	}
	c.close()
	c.endpoints[0], c.endpoints[1] = c.endpoints[1], c.endpoints[0]
	a, err = c.attempt(ctx, method, path, form)
	if err != nil {
		c.close()
		err = fmt.Errorf("%w, after %w", err, first)
	}
	return a, first, err
}

func (c *client) attempt(ctx context.Context, method, path string, form url.Values) (a answer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s at %s: %w", method, path, c.endpoints[0], err)
		}
	}()
	if c.conn == nil {
		dialer := net.Dialer{Timeout: attemptLimit}
		if c.conn, err = dialer.DialContext(ctx, "tcp", c.endpoints[0]); err != nil {
			return a, err
		}
		c.reader = bufio.NewReader(c.conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(attemptLimit)); err != nil {
		return a, err
	}
	conn := c.conn // c may be without it when ctx ends
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	req, err := http.NewRequest(method, "http://"+c.endpoints[0]+path, strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := req.Write(c.conn); err != nil {
		return a, err
	}
	resp, err := http.ReadResponse(c.reader, req)
	if err != nil {
		return a, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if resp.Close {
		c.close()
	}
	a = answer{status: resp.StatusCode, index: resp.Header.Get("X-Etcd-Index"), body: string(body)}
	if a.status >= 500 {
		return a, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(a.body))
	}
	return a, nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn, c.reader = nil, nil
	}
}

// load is a number of clients that send requests until it is stopped. It owns one
// goroutine for each.
type load struct {
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu       sync.Mutex // guards what follows
	requests int
	retried  []error  // first attempts that failed
	failed   []error  // requests whose second attempt failed too
	slow     []string // requests that took long, with their retry
	acked    map[string]string
}

// startLoad starts the load: for each pair of members two writers, a quorum reader,
// a plain reader and a watcher. It stops when the test ends, if not before.
func startLoad(t *testing.T, members []string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, acked: map[string]string{}}
	t.Cleanup(func() { l.stop() })
	for i, one := range members {
		for j, other := range members {
			if i == j {
				continue
			}
			pair := [2]string{one, other}
			for n := range 2 {
				l.run(ctx, pair, l.writer(fmt.Sprintf("/v2/keys/load/%d-%d-%d", i, j, n)))
			}
			l.run(ctx, pair, reader("/v2/keys/load/0-1-0?quorum=true"))
			l.run(ctx, pair, reader("/v2/keys/load/0-1-0"))
			l.run(ctx, pair, watcher())
		}
	}
	return l
}

// run repeats step on a client of its own; step returns an error if the answer was
// wrong in a way that client.do doesn't see.
func (l *load) run(ctx context.Context, pair [2]string, step func(ask) error) {
	l.clients.Go(func() {
		c := &client{endpoints: pair}
		defer c.close()
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := step(func(method, path string, form url.Values) (answer, error) { return l.ask(ctx, c, method, path, form) }); err != nil && ctx.Err() == nil {
				l.mu.Lock()
				l.failed = append(l.failed, fmt.Errorf("%s %w", clock(), err))
				l.mu.Unlock()
			}
		}
	})
}

// ask is one request of a load's client, counted.
type ask func(method, path string, form url.Values) (answer, error)

func (l *load) ask(ctx context.Context, c *client, method, path string, form url.Values) (answer, error) {
	began := time.Now()
	a, first, err := c.do(ctx, method, path, form)
	if ctx.Err() != nil {
		return a, ctx.Err() // the load is over, and with it this request
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if first != nil {
		l.retried = append(l.retried, fmt.Errorf("%s %w", clock(), first))
	}
	if took := time.Since(began); took > slow && !strings.Contains(path, "wait=true") {
		l.slow = append(l.slow, fmt.Sprintf("%s %s %s at %s took %v", clock(), method, path, c.endpoints[0], took.Round(time.Millisecond)))
	}
	return a, err
}

func clock() string { return time.Now().Format("15:04:05.000") }

// writer writes increasing numbers to a key of its own.
func (l *load) writer(path string) func(ask) error {
	n := 0
	return func(ask ask) error {
		n++
		value := strconv.Itoa(n)
		a, err := ask(http.MethodPut, path, url.Values{"value": {value}})
		if err == nil && a.status != http.StatusOK && a.status != http.StatusCreated {
			err = fmt.Errorf("PUT %s answers %d %s", path, a.status, a.body)
		}
		if err == nil {
			l.mu.Lock()
			l.acked[path] = value
			l.mu.Unlock()
		}
		return err
	}
}

// reader reads one key, which may not be there yet.
func reader(path string) func(ask) error {
	return func(ask ask) error {
		a, err := ask(http.MethodGet, path, nil)
		if err == nil && a.status != http.StatusOK && a.status != http.StatusNotFound {
			err = fmt.Errorf("GET %s answers %d %s", path, a.status, a.body)
		}
		return err
	}
}

// watcher asks for the change after the last one it has seen. The empty answer
// of a member that stops means "ask again". A watcher that has fallen behind the window
// starts again.
func watcher() func(ask) error {
	from := ""
	return func(ask ask) error {
		a, err := ask(http.MethodGet, "/v2/keys/load?wait=true&recursive=true"+from, nil)
		switch {
		case err != nil || a.status == http.StatusOK && a.body == "":
			return err
		case a.status == http.StatusBadRequest && strings.Contains(a.body, `"errorCode":401`):
			from = ""
			return nil
		case a.status != http.StatusOK:
			return fmt.Errorf("a watch answers %d %s", a.status, a.body)
		}
		var event struct {
			Node struct{ ModifiedIndex uint64 }
		}
		if err := json.Unmarshal([]byte(a.body), &event); err != nil {
			return fmt.Errorf("a watch answers %q: %w", a.body, err)
		}
		from = fmt.Sprintf("&waitIndex=%d", event.Node.ModifiedIndex+1)
		return nil
	}
}

// stop ends the load and waits for its clients.
func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}

// check stops the load, and requires that no request has failed and that every member
// has all acknowledged writes.
func (l *load) check(t *testing.T, members []string) {
	t.Helper()
	l.stop()
	t.Logf("%d requests, %d of them with a retry, %d took longer than %v, %d failed",
		l.requests, len(l.retried), len(l.slow), slow, len(l.failed))
	for _, text := range l.slow[:min(len(l.slow), showLimit)] {
		t.Logf("slow: %s", text)
	}
	for _, err := range l.retried[:min(len(l.retried), showLimit)] {
		t.Logf("retried: %v", err)
	}
	for _, err := range l.failed[:min(len(l.failed), showLimit)] {
		t.Errorf("failed: %v", err)
	}
	if len(l.retried) == 0 {
		t.Error("no client has noticed anything")
	}
	if least := 100 * len(members); l.requests < least || len(l.acked) == 0 {
		t.Errorf("%d requests are too few, want at least %d", l.requests, least)
	}
	for _, address := range members {
		c := &client{endpoints: [2]string{address, address}}
		defer c.close()
		for path, want := range l.acked {
			a, _, err := c.do(t.Context(), http.MethodGet, path+"?quorum=true", nil)
			var got struct{ Node struct{ Value string } }
			if err == nil {
				err = json.Unmarshal([]byte(a.body), &got)
			}
			n, _ := strconv.Atoi(got.Node.Value)
			if least, _ := strconv.Atoi(want); err != nil || n < least {
				t.Errorf("%s at %s is %s (%v), but %s was acknowledged", path, address, a.body, err, want)
			}
		}
	}
}
