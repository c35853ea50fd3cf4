package v2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Watcher gives the events of a key one after another, without a gap: after an interruption
// it goes on behind the last index of which it knows that nothing was missed up to it.
type Watcher struct {
	c         *Client
	key       string
	prefixes  []string // all keys, if there are several
	recursive bool
	// Raw asks for the bytes of values, as they are; ErrNoBytes if the server doesn't know that.
	Raw  bool
	next uint64 // of the first event that is wanted; 0: of what happens from now on
	// Interrupted, unless nil, is called when the connection is lost, and again each time that
	// it can't be made; and with nil when it stands again.
	Interrupted func(error)
	broken      bool
	resumed     bool // at least one request was answered
}

// Watch begins behind an index; 0 is now. Only copse knows of more than one key: IsCopse tells.
func (c *Client) Watch(key string, after uint64, recursive bool, also ...string) *Watcher {
	w := &Watcher{c: c, key: key, recursive: recursive}
	if len(also) > 0 {
		w.key = "/"
		for _, prefix := range append([]string{key}, also...) {
			w.prefixes = append(w.prefixes, "/"+strings.TrimLeft(prefix, "/"))
		}
	}
	if after > 0 {
		w.next = after + 1
	}
	return w
}

// Gap is the error when events have left the server's window before they were seen.
type Gap struct {
	Why  *Error // what the server said
	Next uint64 // the first that is missed
}

func (g *Gap) Error() string { return g.Why.Error() }

// Unwrap gives the server's error.
func (g *Gap) Unwrap() error { return g.Why }

// Resumed reports whether the watch has begun: a gap is then one in what it gives.
func (w *Watcher) Resumed() bool { return w.resumed }

const (
	// renewal is how long a request waits: a new one then learns from X-Etcd-Index up to where
	// nothing happened, so that the index to go on from stays in the server's window.
	renewal    = 30 * time.Second
	firstPause = 100 * time.Millisecond
	pauseLimit = 5 * time.Second
)

// Next waits for an event. The first failure of all is returned; later ones are overcome,
// except for refusals.
func (w *Watcher) Next(ctx context.Context) (*Response, error) {
	for pause := firstPause; ; {
		response, err := w.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && response != nil:
			return response, nil
		case err == nil:
			pause = firstPause
			continue
		case Code(err) == CodeOutdated:
			e, _ := errors.AsType[*Error](err)
			return nil, &Gap{Why: e, Next: w.next}
		case !w.resumed || refused(err):
			return nil, err
		}
		w.report(err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, pauseLimit)
		}
	}
}

func (w *Watcher) report(err error) {
	w.broken = err != nil
	if w.Interrupted != nil {
		w.Interrupted(err)
	}
}

// refused reports whether to ask again is no use.
func refused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status < http.StatusInternalServerError
}

// poll makes one request that waits. It returns nil if nothing has happened.
func (w *Watcher) poll(ctx context.Context) (*Response, error) {
	query := url.Values{"wait": {"true"}}
	if len(w.prefixes) > 0 {
		query["prefix"] = w.prefixes
	}
	if w.recursive {
		query.Set("recursive", "true")
	}
	if w.Raw {
		query.Set("encoding", "base64")
	}
	if w.next > 0 {
		query.Set("waitIndex", strconv.FormatUint(w.next, 10))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	response, err := each(w.c, ctx, Request{Method: http.MethodGet, Path: keysPath(w.key), Query: query}, func(r *http.Response) (*http.Response, error) { return r, nil })
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	w.resumed = true
	if w.broken {
		w.report(nil)
	}
	index := number(response, "X-Etcd-Index")
	if w.next == 0 {
		w.next = index + 1 // the watch has begun; what comes, if only in part, is behind it
	}
	body, err := readEvent(response.Body, func() { cancel(errRenew) })
	renewed := errors.Is(context.Cause(ctx), errRenew)
	switch {
	case len(body) == 0 && (renewed || err == nil):
		// Nothing has happened up to the index; with events in the future it says nothing. What
		// breaks off may have had an older event to give.
		w.next = max(w.next, index+1)
		return nil, nil
	case renewed && err != nil: // as the event began to come
		return nil, nil
	case err != nil:
		return nil, err
	}
	event, err := parse(body, index)
	if err == nil && w.Raw {
		err = event.takeBytes()
	}
	if err != nil {
		return nil, err
	}
	w.next = event.Node.Modified + 1
	return event, nil
}

// WatchesSeveral reports whether the server knows watches of several keys: copse that has
// transactions, which are for POST.
func (c *Client) WatchesSeveral(ctx context.Context) (bool, error) {
	_, err := each(c, ctx, Request{Method: http.MethodGet, Path: txnPath},
		func(r *http.Response) (struct{}, error) { return struct{}{}, r.Body.Close() })
	if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotFound) {
		return e.Status == http.StatusMethodNotAllowed, nil
	}
	return false, err
}

var errRenew = errors.New("renewed")

// readEvent reads a body. It calls renew if nothing of it comes for the time of a renewal.
func readEvent(body io.Reader, renew func()) ([]byte, error) {
	timer := time.AfterFunc(renewal, renew)
	defer timer.Stop()
	event := make([]byte, 1, bytes.MinRead)
	if _, err := io.ReadFull(body, event); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	timer.Stop()
	rest, err := io.ReadAll(io.LimitReader(body, bodyLimit))
	return append(event, rest...), err
}

// Stream hands over every event below the root as it comes, until ctx is done or the stream
// ends. What happens while no stream stands is missed.
func (c *Client) Stream(ctx context.Context, event func(*Response)) error {
	query := url.Values{"wait": {"true"}, "recursive": {"true"}, "stream": {"true"}}
	stream, err := each(c, ctx, Request{Method: http.MethodGet, Path: keysPath("/"), Query: query}, func(r *http.Response) (io.ReadCloser, error) { return r.Body, nil })
	if err != nil {
		return err
	}
	defer stream.Close()
	for from := json.NewDecoder(stream); ; {
		var r Response
		if err := from.Decode(&r); err != nil {
			return err
		}
		if r.Node != nil {
			event(&r)
		}
	}
}
