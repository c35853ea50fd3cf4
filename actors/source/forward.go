package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"copse/statemachine/tree"
)

// Answer is the source's to a request that was passed on.
type Answer struct {
	Position
	Created bool // status 201
	// Body is v2's JSON. Only one of Body and Err is set.
	Body []byte
	Err  *tree.Error
}

// Do has the source carry out c, with the client's own Authorization. An error says that nobody knows
// whether it did, unless NotSent.
func (c *Client) Do(ctx context.Context, cmd *tree.Command, authorization string) (Answer, error) {
	method, query, form := request(cmd)
	for tries := 1; ; tries++ {
		r, err := c.send(ctx, method, keyPath(cmd.Key), query, form, authorization)
		if err == nil {
			return answer(r)
		}
		if !NotSent(err) || tries >= c.members() {
			return Answer{}, err
		}
	}
}

// request returns v2's request for a command: the inverse of package httpfront's parsing.
func request(c *tree.Command) (method, query, form string) {
	f := url.Values{}
	if c.Asked.Base64 {
		f.Set("encoding", "base64") // which an etcd doesn't know, and answers as it does without
	}
	if c.Dir {
		f.Set("dir", "true")
	}
	if c.PrevValue != "" {
		f.Set("prevValue", c.PrevValue)
	}
	if c.PrevIndex != 0 {
		f.Set("prevIndex", strconv.FormatUint(uint64(c.PrevIndex), 10))
	}
	switch c.Op {
	case tree.OpDelete, tree.OpCompareAndDelete:
		if c.Recursive {
			f.Set("recursive", "true")
		}
		return http.MethodDelete, f.Encode(), ""
	case tree.OpCreate:
		f.Set("prevExist", "false")
	case tree.OpUpdate:
		f.Set("prevExist", "true")
	}
	switch {
	case c.Refresh:
		f.Set("refresh", "true")
	case !c.Dir:
		f.Set("value", string(c.Value))
	}
	if c.Expires != 0 {
		f.Set("ttl", strconv.FormatInt(wholeSeconds(c.Expires-c.Now), 10))
	}
	if c.Op == tree.OpCreateInOrder {
		return http.MethodPost, "", f.Encode()
	}
	return http.MethodPut, "", f.Encode()
}

// keyPath is the path of a key.
func keyPath(key string) string {
	var b strings.Builder
	b.WriteString("/v2/keys")
	for _, name := range strings.Split(strings.Trim(key, "/"), "/") {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(name))
	}
	return b.String()
}

func answer(r *http.Response) (Answer, error) {
	defer r.Body.Close()
	a := Answer{Position: position(r.Header), Created: r.StatusCode == http.StatusCreated}
	if r.StatusCode != http.StatusOK && !a.Created {
		err := refused(r)
		if errors.Is(err, ErrUnauthorized) {
			err = &tree.Error{Code: tree.CodeUnauthorized, Cause: "Insufficient credentials"}
		}
		if errors.As(err, &a.Err) {
			a.Index = max(a.Index, a.Err.Index)
			return a, nil
		}
		return a, err
	}
	var err error
	a.Body, err = io.ReadAll(io.LimitReader(r.Body, answerLimit+1))
	if err == nil && len(a.Body) > answerLimit {
		err = errLong
	}
	return a, err
}

// Get passes on a quorum read, whose answer has to begin within the time. Its body comes in parts if it is
// long: rest, if not nil, yields what comes after Body, and must be closed.
// Each part of it has to come in time, too.
func (c *Client) Get(q *tree.Query, limit time.Duration, authorization string) (a Answer, rest tree.Rest, err error) {
	query := "quorum=true"
	if q.Recursive {
		query += "&recursive=true"
	}
	if q.Sorted {
		query += "&sorted=true"
	}
	ctx, abandon := context.WithCancelCause(context.Background())
	late := time.AfterFunc(limit, func() { abandon(errSilent) })
	defer late.Stop()
	r, err := c.send(ctx, http.MethodGet, keyPath(q.Key), query, "", authorization)
	for tries := 1; err != nil && NotSent(err) && tries < c.members(); tries++ {
		r, err = c.send(ctx, http.MethodGet, keyPath(q.Key), query, "", authorization)
	}
	if err != nil {
		abandon(nil)
		return a, nil, err
	}
	r.Body = &answering{r.Body, abandon, c.limits.head}
	if r.StatusCode != http.StatusOK || 0 <= r.ContentLength && r.ContentLength <= partSize {
		a, err = answer(r)
		return a, nil, err
	}
	b := &body{whole: r.Body, part: make([]byte, partSize)}
	first, more, err := b.Next()
	if err != nil || !more {
		b.Close()
		return Answer{Position: position(r.Header), Body: first}, nil, err
	}
	b.part = make([]byte, partSize)
	return Answer{Position: position(r.Header), Body: first}, b, nil
}

// partSize is the size of the parts in which a long answer is passed on.
const partSize = 128 << 10

// body is the rest of an answer. It implements tree.Rest.
type body struct {
	whole io.ReadCloser
	part  []byte
}

func (b *body) Size() int { return -1 }

func (b *body) Next() (part []byte, more bool, err error) {
	n, err := io.ReadFull(b.whole, b.part)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return b.part[:n], false, nil
	case err != nil:
		return nil, false, fmt.Errorf("read from the source: %w", err)
	}
	return b.part[:n], true, nil
}

func (b *body) Close() { _ = b.whole.Close() }

// wholeSeconds rounds up: the source knows no shorter times to live.
func wholeSeconds(ns int64) int64 { return (ns + int64(time.Second) - 1) / int64(time.Second) }
