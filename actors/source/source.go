package source

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"copse/statemachine/tree"
)

// Limits of one source.
const (
	// Connections bounds the requests under way; the next one waits.
	Connections = 256
	dialTimeout = 2 * time.Second
	// indexLimit is above all indexes and terms that there can be.
	indexLimit = 1 << 62
	// answerLimit bounds an answer that is kept in memory, unless it is the whole tree.
	answerLimit = 128 << 20
)

var (
	// ErrCleared: the events asked for have left the source's history.
	ErrCleared = errors.New("the source has forgotten the next events (errorCode 401)")
	// ErrUnauthorized: the source has auth enabled.
	ErrUnauthorized = errors.New("the source has auth enabled, and no one may follow it over HTTP: move it offline, by copse import")
	// errSilent ends a request whose answer doesn't begin.
	errSilent = fmt.Errorf("no answer: %w", context.DeadlineExceeded)
	// errStalled ends one whose answer doesn't go on.
	errStalled = fmt.Errorf("the source's answer doesn't go on: %w", context.DeadlineExceeded)
	errNowhere = errors.New("the source is not known yet")
	errIndex   = fmt.Errorf("the source tells of an index or a term above %d", uint64(indexLimit))
	errLong    = fmt.Errorf("the source's answer is longer than %d bytes", answerLimit)
)

// Client asks the members of one cluster, one at a time: another one when that fails. Its
// methods may be called concurrently.
type Client struct {
	urls atomic.Pointer[[]*url.URL]
	at   atomic.Uint64 // the member that is asked, modulo their number
	http *http.Client
	limits
	root string // the Authorization of this package's own requests; see Login
}

// limits bound the time until an answer begins. A watch's begins at once, even if it waits.
type limits struct {
	head time.Duration
	tree time.Duration // of the whole tree, which etcd puts together before it sends any of it
}

// Position tells how far the member that answered has come.
type Position struct {
	ClusterID uint64
	Index     tree.Index
	Term      uint64 // 0: the answer doesn't say
}

// New returns a client of the cluster with these URLs. There may be none at first: see Use. security
// is for those with https; nil: the system's authorities.
func New(urls []string, security *tls.Config) (*Client, error) {
	c := &Client{limits: limits{head: 10 * time.Second, tree: 5 * time.Minute}}
	if err := c.Use(urls); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	// No proxy: as for every server of the cluster.
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: security, TLSHandshakeTimeout: dialTimeout,
			MaxConnsPerHost: Connections, MaxIdleConnsPerHost: Connections, IdleConnTimeout: time.Minute, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Use sets the URLs.
func (c *Client) Use(urls []string) error {
	var list []*url.URL
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%q is not the URL of an etcd", text)
		}
		list = append(list, u)
	}
	c.urls.Store(&list)
	return nil
}

// members returns the number of URLs.
func (c *Client) members() int { return len(*c.urls.Load()) }

// Close ends idle connections; requests under way end by their contexts.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// notSent marks the error of a request that has not reached the source.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// NotSent reports whether the request of that error can't have been carried out.
func NotSent(err error) bool {
	var n notSent
	return errors.As(err, &n)
}

// send sends one request to the present member. If that can't be reached, or can't carry out the
// request, the next one goes to another member.
func (c *Client) send(ctx context.Context, method, path, query, form, authorization string) (*http.Response, error) {
	at := c.at.Load()
	urls := *c.urls.Load()
	if len(urls) == 0 {
		return nil, notSent{errNowhere}
	}
	u := urls[at%uint64(len(urls))]
	request, err := http.NewRequestWithContext(ctx, method, u.Scheme+"://"+u.Host+path, strings.NewReader(form))
	if err != nil {
		return nil, notSent{err}
	}
	request.URL.RawQuery = query
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if authorization != "" {
		request.Header.Set("Authorization", strings.Clone(authorization)) // the caller may reuse its buffer before all is sent
	}
	response, err := c.http.Do(request)
	if err == nil {
		if response.StatusCode >= http.StatusInternalServerError { // it has no leader, or stops
			c.at.CompareAndSwap(at, at+1)
		}
		if p := position(response.Header); p.Index <= indexLimit && p.Term <= indexLimit {
			return response, nil
		}
		_ = response.Body.Close() // it isn't read
		return nil, fmt.Errorf("%s: %w", u.Host, errIndex)
	}
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, context.DeadlineExceeded) {
		c.at.CompareAndSwap(at, at+1)
	}
	if errors.Is(cause, errSilent) {
		err = cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	err = fmt.Errorf("%s: %w", u.Host, err)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return nil, notSent{err}
	}
	return nil, err
}

// ask sends a read, whose answer has to begin within a limit. If it doesn't, the next request
// goes to another member.
func (c *Client) ask(ctx context.Context, method, path, query string, limit time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(limit, func() { cancel(errSilent) })
	r, err := c.send(ctx, method, path, query, "", c.root)
	late.Stop()
	if err != nil {
		cancel(nil)
		return nil, err
	}
	r.Body = &answering{r.Body, cancel, c.limits.head}
	return r, nil
}

// position reads the headers of an answer.
func position(h http.Header) Position {
	id, _ := strconv.ParseUint(h.Get("X-Etcd-Cluster-Id"), 16, 64)
	index, _ := strconv.ParseUint(h.Get("X-Etcd-Index"), 10, 64)
	term, _ := strconv.ParseUint(h.Get("X-Raft-Term"), 10, 64)
	return Position{ClusterID: id, Index: tree.Index(index), Term: term}
}

// refused returns the error in an answer's body, or one with the body's text.
func refused(r *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return err
	}
	var e struct {
		ErrorCode int
		Cause     string
		Index     tree.Index
	}
	_ = json.Unmarshal(text, &e) // anything but JSON has no code
	switch {
	case e.Index > indexLimit:
		return errIndex
	case e.ErrorCode == int(tree.CodeEventIndexClosed):
		return ErrCleared
	case e.ErrorCode == int(tree.CodeUnauthorized), r.StatusCode == http.StatusUnauthorized:
		return ErrUnauthorized
	case e.ErrorCode != 0:
		return &tree.Error{Code: tree.Code(e.ErrorCode), Cause: e.Cause, Index: e.Index}
	}
	return fmt.Errorf("the source answers %q: %.200q", r.Status, text)
}

// At returns how far the source is, by asking for the headers of a key: of a file that exists if
// one is known, for then the term is among them, and else of "/".
func (c *Client) At(ctx context.Context, key string) (Position, error) {
	r, err := c.ask(ctx, http.MethodHead, keyPath(key), "", c.limits.head)
	if err != nil {
		return Position{}, err
	}
	defer r.Body.Close()
	p := position(r.Header)
	switch {
	case r.StatusCode == http.StatusUnauthorized:
		return p, ErrUnauthorized
	case p.ClusterID == 0 || p.Index == 0:
		return p, fmt.Errorf("%s is not an etcd with the v2 API (%q)", r.Request.URL.Host, r.Status)
	}
	return p, nil
}

// Date is the time of day at the source, in whole seconds as in its answers: it was up to a second later.
func (c *Client) Date(ctx context.Context) (time.Time, error) {
	r, err := c.send(ctx, http.MethodHead, keyPath("/"), "", "", c.root)
	if err != nil {
		return time.Time{}, err
	}
	defer r.Body.Close()
	at, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		err = fmt.Errorf("%s doesn't say what time it is: %w", r.Request.URL.Host, err)
	}
	return at, err
}

// Led reports whether the present member has a leader, as far as it tells by /health. If it says
// that it hasn't, as one that is cut off from the others, the next request goes to another member.
func (c *Client) Led(ctx context.Context) (bool, error) {
	r, err := c.ask(ctx, http.MethodGet, "/health", "", c.limits.head)
	if err != nil {
		return false, err
	}
	return r.StatusCode < http.StatusInternalServerError, r.Body.Close()
}

// AuthEnabled reports whether the source has auth enabled.
func (c *Client) AuthEnabled(ctx context.Context) (bool, error) {
	r, err := c.retry(ctx, "/v2/auth/enable", "", c.limits.head)
	if err != nil {
		return false, err
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusUnauthorized {
		return true, nil
	}
	var answer struct{ Enabled bool }
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<10)).Decode(&answer); err != nil {
		return false, fmt.Errorf("%s: /v2/auth/enable: %q: %w", r.Request.URL.Host, r.Status, err)
	}
	return answer.Enabled, nil
}

// wholeRead asks for all below a key. A copse shows the bytes of values, and etcd ignores the last parameter.
const wholeRead = "recursive=true&sorted=true&quorum=true&encoding=base64"

// Read reads key and all that is visible below it, with a quorum of the source: each directory before
// what it holds. The root itself isn't among the nodes. A key that isn't there gives no nodes.
func (c *Client) Read(ctx context.Context, key string) ([]tree.Node, Position, error) {
	r, err := c.ask(ctx, http.MethodGet, keyPath(key), wholeRead, c.limits.tree)
	if err != nil {
		return nil, Position{}, err
	}
	defer r.Body.Close()
	p := position(r.Header)
	if r.StatusCode != http.StatusOK {
		err := refused(r)
		var e *tree.Error
		if errors.As(err, &e) && e.Code == tree.CodeKeyNotFound {
			return nil, Position{p.ClusterID, max(p.Index, e.Index), p.Term}, nil
		}
		return nil, p, err
	}
	var answer struct{ Node node }
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return nil, p, fmt.Errorf("read %s: %w", key, err)
	}
	root := tree.Clean(answer.Node.Key)
	if root != tree.Clean(key) {
		return nil, p, fmt.Errorf("the source answers with %q to a read of %q", root, key)
	}
	nodes := answer.Node.flatten(nil)
	for i := range nodes {
		if n := &nodes[i]; !sound(n) || n.Key != root && !tree.Within(root, n.Key) {
			return nil, p, fmt.Errorf("the source has a node %q in %q, created at %d and modified at %d", n.Key, key, n.Created, n.Modified)
		}
	}
	return nodes, p, nil
}

// Next returns the first event from an index on. With none in the history, it returns nil once
// patience has passed: then there was probably no event from there up to the Position. To be sure,
// the caller asks from the same index again.
func (c *Client) Next(ctx context.Context, from tree.Index, patience time.Duration) (*tree.Event, Position, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := c.ask(ctx, http.MethodGet, keyPath("/"), "wait=true&recursive=true&encoding=base64&waitIndex="+strconv.FormatUint(uint64(from), 10), c.limits.head)
	if err != nil {
		return nil, Position{}, err
	}
	defer r.Body.Close()
	p := position(r.Header)
	if r.StatusCode != http.StatusOK {
		return nil, p, refused(r)
	}
	// The head comes when the watch is registered, and an event of the past right behind it.
	var first [1]byte
	timer := time.AfterFunc(patience, cancel)
	_, err = io.ReadFull(r.Body.(*answering).ReadCloser, first[:]) // which may wait for longer than an answer pauses
	if late := !timer.Stop(); late && err != nil {
		return nil, p, nil
	} else if late || err != nil {
		return nil, p, fmt.Errorf("the source ended a watch: %w", errors.Join(err, ctx.Err()))
	}
	var e event
	if err := json.NewDecoder(io.MultiReader(strings.NewReader(string(first[:])), io.LimitReader(r.Body, answerLimit))).Decode(&e); err != nil {
		return nil, p, fmt.Errorf("read an event: %w", err)
	}
	ev, err := e.decode()
	if err == nil && ev.Index() < from {
		return nil, p, fmt.Errorf("the source tells of an event at %d, and was asked for those from %d on", ev.Index(), from)
	}
	return ev, p, err
}
