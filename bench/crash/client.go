package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// client is everybody's way to the server; it keeps connections alive and
// notes the index of every answer.
type client struct {
	base string // http://host:port/v2/keys
	http *http.Client
	seen atomic.Uint64 // the highest index that any answer showed

	mu      sync.Mutex
	glances []Glance
}

// answerLimit is far above what a healthy server needs, also with a busy disk.
const answerLimit = 30 * time.Second

func newClient(endpoint string) *client {
	return &client{
		base: endpoint + "/v2/keys",
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 64,
			DisableCompression:  true,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		}},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is what came back, whole.
type answer struct {
	status int
	index  uint64 // X-Etcd-Index
	body   []byte
}

// errNotSent marks an attempt that never reached a server.
var errNotSent = errors.New("not sent")

func (c *client) request(ctx context.Context, method, key, query string, form url.Values) (*http.Response, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	target := c.base + key
	if query != "" {
		target += "?" + query
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.http.Do(req)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	return resp, err
}

// ask sends one request and reads the whole answer.
func (c *client) ask(method, key, query string, form url.Values) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	floor := c.seen.Load()
	resp, err := c.request(ctx, method, key, query, form)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, index: headerIndex(resp), body: body}
	c.glance(fmt.Sprintf("%s %s?%s (%d)", method, key, query, a.status), floor, a.index)
	return a, nil
}

func headerIndex(resp *http.Response) uint64 {
	index, err := strconv.ParseUint(resp.Header.Get("X-Etcd-Index"), 10, 64)
	if err != nil {
		return 0
	}
	return index
}

// glance notes an index that was shown. Zero is what v2 shows where a request
// never came as far as the store.
func (c *client) glance(what string, floor, index uint64) {
	if index == 0 {
		return
	}
	c.mu.Lock()
	c.glances = append(c.glances, Glance{what, floor, index})
	c.mu.Unlock()
	c.raise(index)
}

func (c *client) raise(index uint64) {
	for {
		seen := c.seen.Load()
		if index <= seen || c.seen.CompareAndSwap(seen, index) {
			return
		}
	}
}

// write carries out op and fills in what became of it.
func (c *client) write(op *Op) {
	op.Floor = c.seen.Load()
	var form url.Values
	if op.Method != http.MethodDelete {
		form = url.Values{}
		if op.Value != "" {
			form.Set("value", op.Value)
		}
	}
	a, err := c.ask(op.Method, op.Key, op.Query, form)
	if errors.Is(err, errNotSent) {
		op.Outcome = NotSent
		return
	}
	if err != nil {
		op.Outcome = Unknown
		return
	}
	if a.status == http.StatusOK || a.status == http.StatusCreated {
		var ev Event
		if json.Unmarshal(a.body, &ev) == nil && ev.Index() != 0 {
			op.Outcome, op.Event = Acked, &ev
			c.glance("the header of "+op.Method+" "+op.Key, ev.Index(), a.index)
		}
		return
	}
	var fault struct {
		Code int `json:"errorCode"`
	}
	if json.Unmarshal(a.body, &fault) != nil || fault.Code == 0 || fault.Code >= 300 {
		return // 300 promises nothing: the write may be in the log
	}
	op.Outcome, op.Code = Refused, fault.Code
}

// get reads one node, with everything below it when recursive.
func (c *client) get(key string, recursive bool) (*Node, answer, error) {
	a, err := c.ask(http.MethodGet, key, fmt.Sprintf("recursive=%v&quorum=false", recursive), nil)
	if err != nil {
		return nil, a, err
	}
	if a.status == http.StatusNotFound {
		return nil, a, nil
	}
	var ev Event
	if err := json.Unmarshal(a.body, &ev); err != nil || a.status != http.StatusOK {
		return nil, a, fmt.Errorf("GET %s: status %d, body %.200q: %v", key, a.status, a.body, err)
	}
	return &ev.Node, a, nil
}

// flatten lists a node and all below it by key.
func flatten(n *Node, into map[string]Node) {
	if n == nil {
		return
	}
	for i := range n.Nodes {
		flatten(&n.Nodes[i], into)
	}
	plain := *n
	plain.Nodes = nil
	into[n.Key] = plain
}
