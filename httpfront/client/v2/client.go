package v2

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are how to reach a cluster.
type Options struct {
	Endpoints      []string // URLs with a scheme
	TLS            *tls.Config
	User, Password string        // no User: nobody
	Timeout        time.Duration // to connect, and for one server to begin its answer
	// Debug, unless nil, is handed a line about each request.
	Debug func(string)
}

// Client speaks to one cluster. It isn't for several goroutines.
type Client struct {
	o         Options
	http      *http.Client
	endpoints []*url.URL // the first is asked first
}

// New checks the endpoints; it connects to none.
func New(o Options) (*Client, error) {
	c := &Client{o: o}
	for i, text := range o.Endpoints {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("URL %d of %d is not one such as http://127.0.0.1:2379", i+1, len(o.Endpoints)) // it may have a password in it
		}
		u.Path = strings.TrimRight(u.Path, "/")
		c.endpoints = append(c.endpoints, u)
	}
	c.http = &http.Client{
		// No proxy: the environment's is for the outside world.
		Transport: &http.Transport{
			TLSClientConfig: o.TLS, DialContext: (&net.Dialer{Timeout: o.Timeout}).DialContext,
			TLSHandshakeTimeout: o.Timeout, ResponseHeaderTimeout: o.Timeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close ends the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// First returns a client for only the server that is asked first. Another goroutine may use it.
func (c *Client) First() *Client {
	return &Client{o: c.o, http: c.http, endpoints: slices.Clone(c.endpoints[:1])}
}

// Request is one for a path of the API.
type Request struct {
	Method string
	Path   string // unescaped
	Query  url.Values
	Form   url.Values // the body, unless JSON is
	JSON   any
	// Repeatable: the query has a requestId, by which a copse makes a write once however often it comes.
	Repeatable bool
}

// Answer is a whole one.
type Answer struct {
	Status int
	Index  uint64 // X-Etcd-Index; 0 if there was none
	Term   uint64 // X-Raft-Term, as well
	// Modified is X-Copse-Modified-Index, which comes with raw bytes.
	Modified uint64
	Body     []byte
}

// Error is a refusal in the form of the v2 API.
type Error struct {
	Code    int    `json:"errorCode"`
	Message string `json:"message"`
	Cause   string `json:"cause"`
	Index   uint64 `json:"index"`
	Status  int    `json:"-"` // HTTP's
}

func (e *Error) Error() string {
	if e.Code == 0 {
		return e.Message
	}
	return fmt.Sprintf("%d: %s (%s) [%d]", e.Code, e.Message, e.Cause, e.Index)
}

// Codes of errors.
const (
	CodeNotFound = 100
	CodeCompare  = 101
	CodeExists   = 105
	CodeOutdated = 401
)

// Code is the code of an error of the API, or 0.
func Code(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}

// Unreachable is the error when no server answered.
type Unreachable struct {
	Asked []string // URLs, without passwords
	Why   []error  // for each
	Sent  bool     // the last one has perhaps got a write
}

func (u *Unreachable) Error() string {
	var text strings.Builder
	text.WriteString("no server answers")
	if u.Sent {
		text.Reset()
		fmt.Fprintf(&text, "%s did not answer; the write may have been made", u.Asked[len(u.Asked)-1])
	}
	for i, err := range u.Why {
		fmt.Fprintf(&text, "; error #%d: %v", i, err)
	}
	return text.String()
}

// Answered reports whether an error is a server's answer.
func Answered(err error) bool {
	_, ok := errors.AsType[*Error](err)
	return ok
}

// bodyLimit bounds an answer that isn't a stream.
const bodyLimit = 1 << 30

// Do asks the servers in turn, and returns the first answer. What isn't 2xx is an *Error.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	return each(c, ctx, r, func(response *http.Response) (*Answer, error) {
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
		if err != nil {
			return nil, err
		}
		return &Answer{Status: response.StatusCode, Index: number(response, "X-Etcd-Index"), Term: number(response, "X-Raft-Term"), Modified: number(response, "X-Copse-Modified-Index"), Body: body}, nil
	})
}

// number is a header's; 0 without one.
func number(response *http.Response, header string) uint64 {
	n, _ := strconv.ParseUint(response.Header.Get(header), 10, 64)
	return n
}

// each sends a request to one server after another until take has an answer, and has those
// asked last that gave none.
func each[T any](c *Client, ctx context.Context, r Request, take func(*http.Response) (T, error)) (none T, err error) {
	failed := new(Unreachable)
	for _, u := range slices.Clone(c.endpoints) {
		if failed.Sent && !c.repeats(ctx, u) {
			break
		}
		response, err := c.send(ctx, u, r)
		if r.Repeatable && !failed.Sent && needless(err) {
			r = r.once()
			response, err = c.send(ctx, u, r)
		}
		if err == nil {
			var done T
			if done, err = take(response); err == nil {
				return done, nil
			}
		}
		if _, refused := errors.AsType[*Error](err); refused && !passes(err, r.Method) && !(failed.Sent && needless(err)) {
			return none, err
		}
		if ctx.Err() != nil {
			return none, cmp.Or(context.Cause(ctx), err)
		}
		failed.Asked, failed.Why = append(failed.Asked, u.Redacted()), append(failed.Why, err)
		failed.Sent = failed.Sent || changes(r.Method) && !unsent(err)
		if failed.Sent && !r.Repeatable {
			break
		}
		c.endpoints = append(slices.DeleteFunc(c.endpoints, func(e *url.URL) bool { return e == u }), u)
	}
	if len(failed.Why) == 1 {
		if e, ok := errors.AsType[*Error](failed.Why[0]); ok {
			return none, e
		}
	}
	return none, failed
}

func changes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// passes reports whether another server may answer better: this one has no leader, or stops.
func passes(err error, method string) bool {
	e, _ := errors.AsType[*Error](err)
	return !changes(method) && e.Status >= http.StatusInternalServerError
}

// unsent reports whether a server can't have got the request.
func unsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// send makes one request to one server. The caller closes the body.
func (c *Client) send(ctx context.Context, u *url.URL, r Request) (*http.Response, error) {
	request, err := c.request(ctx, u, r)
	if err != nil {
		return nil, err
	}
	c.tell(request, r)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return response, nil
}

// withoutURL takes the URL, which may have a password in it, out of an error.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

func (c *Client) request(ctx context.Context, u *url.URL, r Request) (*http.Request, error) {
	var body io.Reader
	kind := ""
	switch {
	case r.JSON != nil:
		text, err := json.Marshal(r.JSON)
		if err != nil {
			return nil, err
		}
		body, kind = bytes.NewReader(text), "application/json"
	case r.Form != nil:
		body, kind = strings.NewReader(r.Form.Encode()), "application/x-www-form-urlencoded"
	}
	to := *u
	to.Path += r.Path
	to.RawQuery = r.Query.Encode()
	request, err := http.NewRequestWithContext(ctx, r.Method, to.String(), body)
	if err != nil {
		return nil, withoutURL(err)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	if c.o.User != "" {
		request.SetBasicAuth(c.o.User, c.o.Password)
	}
	return request, nil
}

// tell prints a request as a call of curl, without the password.
func (c *Client) tell(request *http.Request, r Request) {
	if c.o.Debug == nil {
		return
	}
	line := fmt.Sprintf("curl -X %s %q", r.Method, request.URL.Redacted())
	if c.o.User != "" {
		line += fmt.Sprintf(" -u %q", c.o.User)
	}
	if r.Form != nil {
		line += fmt.Sprintf(" -d %q", r.Form.Encode())
	}
	if r.JSON != nil {
		line += " -H 'Content-Type: application/json' -d ..." // it may have a password in it
	}
	c.o.Debug(line)
}

const refusalLimit = 64 << 10

// refusal is the error that an answer is.
func refusal(response *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, refusalLimit))
	if err != nil {
		return err
	}
	e := &Error{Status: response.StatusCode}
	if json.Unmarshal(body, e) != nil || e.Message == "" {
		e.Code, e.Message = 0, strings.TrimRight(fmt.Sprintf("%s: %.200s", response.Status, strings.TrimSpace(string(body))), ": ")
	}
	return e
}

// Sync asks for the members, and uses their client URLs too from now on: behind the one that
// has answered, and before the others that were given.
func (c *Client) Sync(ctx context.Context) error {
	members, err := c.Members(ctx)
	if err != nil {
		return err
	}
	var list []*url.URL
	add := func(u *url.URL) {
		if !slices.ContainsFunc(list, func(o *url.URL) bool { return o.String() == u.String() }) {
			list = append(list, u)
		}
	}
	add(c.endpoints[0])
	for _, m := range members {
		for _, text := range m.ClientURLs {
			if u, err := url.Parse(text); err == nil && u.Host != "" {
				add(u)
			}
		}
	}
	for _, u := range c.endpoints {
		add(u)
	}
	c.endpoints = list
	return nil
}
