package v2api

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
	"time"
)

// Outcome says what a client knows about its request.
type Outcome int

const (
	// Unknown: it was sent, and no answer came, or one that promises nothing.
	Unknown Outcome = iota
	// Acked: answered with success; a write must then never be lost.
	Acked
	// Refused: answered with an error that promises that nothing changed.
	Refused
	// NotSent: no connection, so it can't have happened.
	NotSent
)

func (o Outcome) String() string {
	return [...]string{"unknown", "acknowledged", "refused", "not sent"}[o]
}

// Reply is a whole answer. Indexes are zero if the answer had none.
type Reply struct {
	Status  int
	Index   uint64 // X-Etcd-Index
	Raft    uint64 // X-Raft-Index
	Term    uint64 // X-Raft-Term
	Cluster string // X-Etcd-Cluster-Id
	Body    []byte
}

// ErrNotSent marks an attempt that never reached a server.
var ErrNotSent = errors.New("not sent")

// NewClient returns a client that keeps no connections: one that is kept would
// outlive a killed server. dial may be nil; limit is for one request, 0 for none.
func NewClient(dial func(ctx context.Context, network, address string) (net.Conn, error), limit time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: limit}
}

// GetJSON decodes a server's answer, which has to be 200.
func GetJSON(ctx context.Context, client *http.Client, url string, into any) error {
	resp, err := Open(ctx, client, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %w", url, resp.StatusCode, err)
	}
	return nil
}

// Open sends a request and returns once the answer's head has arrived.
func Open(ctx context.Context, client *http.Client, method, target string, form url.Values) (*http.Response, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return Send(client, req)
}

// Send sends req, as Open does.
func Send(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return resp, err
}

// Do sends r to the server at base, http://host:port, and reads the answer.
func Do(ctx context.Context, client *http.Client, base string, r *Request) (Reply, error) {
	target := base + "/v2/keys" + r.Key
	if q := r.Query(); q != "" {
		target += "?" + q
	}
	return read(Open(ctx, client, r.Method, target, r.Form()))
}

// read reads a whole answer.
func read(resp *http.Response, err error) (Reply, error) {
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Reply{}, err
	}
	reply := Head(resp)
	reply.Body = body
	return reply, nil
}

// Head is the reply's part that is known before the body.
func Head(resp *http.Response) Reply {
	number := func(name string) uint64 {
		n, err := strconv.ParseUint(resp.Header.Get(name), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return Reply{
		Status:  resp.StatusCode,
		Index:   number("X-Etcd-Index"),
		Raft:    number("X-Raft-Index"),
		Term:    number("X-Raft-Term"),
		Cluster: resp.Header.Get("X-Etcd-Cluster-Id"),
	}
}

// Parse interprets the answer to a request. err is the error that Do returned.
func (r *Reply) Parse(err error) (Outcome, *Event, *Fault) {
	switch {
	case errors.Is(err, ErrNotSent):
		return NotSent, nil, nil
	case err != nil:
		return Unknown, nil, nil
	}
	if r.Status == http.StatusOK || r.Status == http.StatusCreated {
		var ev Event
		if json.Unmarshal(r.Body, &ev) == nil && ev.Action != "" {
			return Acked, &ev, nil
		}
		return Unknown, nil, nil
	}
	var fault Fault
	if json.Unmarshal(r.Body, &fault) != nil || fault.Code == 0 || fault.Code >= 300 && fault.Code < 400 {
		return Unknown, nil, nil // 300 promises nothing: the write may be in the log
	}
	return Refused, nil, &fault
}
