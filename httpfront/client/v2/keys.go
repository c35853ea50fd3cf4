package v2

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Response is the answer to a request for a key, or an event.
type Response struct {
	Action   string  `json:"action"`
	Node     *Node   `json:"node"`
	PrevNode *Node   `json:"prevNode"`
	Count    *uint64 `json:"count,omitempty"` // of nodes, if that was asked
	Index    uint64  `json:"-"`               // X-Etcd-Index
}

// Node is one of the tree. Its JSON is etcdctl's, not the API's.
type Node struct {
	Key        string     `json:"key"`
	Dir        bool       `json:"dir,omitempty"`
	Value      string     `json:"value"`
	Value64    []byte     `json:"value64,omitempty"` // the value's bytes, if they were asked for
	Nodes      []*Node    `json:"nodes"`
	Created    uint64     `json:"createdIndex"`
	Modified   uint64     `json:"modifiedIndex"`
	Expiration *time.Time `json:"expiration,omitempty"`
	TTL        int64      `json:"ttl,omitempty"`
}

// keysPath is where a key is.
func keysPath(key string) string {
	return "/v2/keys/" + strings.TrimLeft(key, "/")
}

// ReadOptions are those of a GET. A server that isn't copse ignores the last three.
type ReadOptions struct {
	Sorted, Recursive, Quorum bool
	Hidden, Count             bool
	Depth                     uint32 // 0: by Recursive
}

// Get reads a key.
func (c *Client) Get(ctx context.Context, key string, o ReadOptions) (*Response, error) {
	query := url.Values{}
	for name, on := range map[string]bool{"sorted": o.Sorted, "recursive": o.Recursive, "quorum": o.Quorum, "showHidden": o.Hidden, "count": o.Count} {
		if on {
			query.Set(name, "true")
		}
	}
	if o.Depth != 0 {
		query.Set("depth", strconv.FormatUint(uint64(o.Depth), 10))
	}
	return c.keys(ctx, Request{Method: http.MethodGet, Path: keysPath(key), Query: query})
}

// Raw reads the bytes of a value. A server that isn't copse answers with JSON, which is no value.
func (c *Client) Raw(ctx context.Context, key string, quorum bool) ([]byte, error) {
	query := url.Values{"raw": {"true"}}
	if quorum {
		query.Set("quorum", "true")
	}
	answer, err := c.Do(ctx, Request{Method: http.MethodGet, Path: keysPath(key), Query: query})
	if err != nil {
		return nil, err
	}
	if answer.Modified == 0 {
		return nil, ErrNoBytes
	}
	return answer.Body, nil
}

// ErrNoBytes is the error for a server that doesn't know raw.
var ErrNoBytes = errors.New("the server can't send the bytes of a value: it isn't copse, or an older one")

// Change is a write.
type Change struct {
	Method    string // PUT, POST or DELETE
	Key       string
	Value     *string
	Dir       bool
	TTL       int64 // seconds; 0: none
	PrevExist *bool
	PrevValue string // "": any
	PrevIndex uint64 // 0: any
	Refresh   bool
	Recursive bool
}

// Change writes.
func (c *Client) Change(ctx context.Context, w Change) (*Response, error) {
	query, form := url.Values{}, url.Values{}
	if w.PrevExist != nil {
		query.Set("prevExist", strconv.FormatBool(*w.PrevExist))
	}
	if w.PrevValue != "" {
		query.Set("prevValue", w.PrevValue)
	}
	if w.PrevIndex != 0 {
		query.Set("prevIndex", strconv.FormatUint(w.PrevIndex, 10))
	}
	if w.Dir {
		query.Set("dir", "true")
	}
	if w.Recursive {
		query.Set("recursive", "true")
	}
	if w.Value != nil {
		form.Set("value", *w.Value)
	}
	if w.TTL > 0 {
		form.Set("ttl", strconv.FormatInt(w.TTL, 10))
	}
	if w.Refresh {
		form.Set("refresh", "true")
	}
	r := Request{Method: w.Method, Path: keysPath(w.Key), Query: query}
	if w.Method != http.MethodDelete {
		r.Form = form
	}
	return c.keys(ctx, repeatable(r))
}

const txnPath = "/v2/copse/txn"

// Txn carries out a transaction, whose body is JSON: docs/API.md has it. It returns the events.
func (c *Client) Txn(ctx context.Context, body any) ([]*Response, error) {
	answer, err := c.Do(ctx, repeatable(Request{Method: http.MethodPost, Path: txnPath, JSON: body}))
	if err != nil {
		return nil, err
	}
	var out struct{ Results []*Response }
	if json.Unmarshal(answer.Body, &out) != nil || len(out.Results) == 0 {
		return nil, ErrForeign
	}
	for _, r := range out.Results {
		if r == nil || r.Node == nil {
			return nil, ErrForeign
		}
		r.Index = answer.Index
	}
	return out.Results, nil
}

// takeBytes makes the values in an event those that its JSON has in base64.
func (r *Response) takeBytes() error {
	removal := r.Action == "delete" || r.Action == "compareAndDelete" || r.Action == "expire"
	for _, n := range []*Node{r.Node, r.PrevNode} {
		switch {
		case n == nil || n.Dir || n == r.Node && removal:
		case n.Value64 == nil:
			return ErrNoBytes
		default:
			n.Value = string(n.Value64)
		}
	}
	return nil
}

func (c *Client) keys(ctx context.Context, r Request) (*Response, error) {
	answer, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	return parse(answer.Body, answer.Index)
}

// ErrForeign is the error for an answer of something else.
var ErrForeign = errors.New("the answer isn't one of the v2 API: is --endpoints right?")

func parse(body []byte, index uint64) (*Response, error) {
	response := &Response{Index: index}
	if err := json.Unmarshal(body, response); err != nil || response.Node == nil {
		return nil, ErrForeign
	}
	return response, nil
}
