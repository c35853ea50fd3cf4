package httpfront

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/recent"
)

const (
	// slowBody is the size above which an answer may wait for its client; smaller ones fit the
	// socket's buffer.
	slowBody = 64 << 10
	// slowLinesLimit bounds how many slow requests are logged in a second. A stalled disk makes
	// all requests slow, and the log must not keep it from recovering.
	slowLinesLimit = 10
)

// slowRequest is the log line of a slow request, with the time of each stage. It exists
// from when the answer is ready until the client has it.
type slowRequest struct {
	began           time.Time
	ready           time.Duration // from began until the answer was ready
	queued, applied time.Duration // the shard's parts of that
	method          method
	route           routeID
	code, size      int    // size is negative if it is unknown
	path            string // set at debug only, for it contains the key
}

// slowLog decides which requests are slow, and how many of them are logged.
type slowLog struct {
	log   *slog.Logger
	limit time.Duration // 0: nothing is slow

	second, told, untold atomic.Int64
	recent               recent.List[slowJSON]
}

// watch looks at a request whose answer became ready this long after its begin. If it is
// slow already, or its client may still slow it down, it stays with the connection until
// the answer has been sent.
func (l *slowLog) watch(ctx *fasthttp.RequestCtx, x *exchange, ready time.Duration) {
	if l.limit <= 0 || x.route == routeWatch {
		return
	}
	size := ctx.Response.Header.ContentLength() // negative: unknown, may be long
	if !ctx.Response.IsBodyStream() {
		size = len(ctx.Response.Body())
	}
	if ready < l.limit && size >= 0 && size < slowBody {
		return
	}
	r := &slowRequest{
		began: x.arrived, ready: ready, queued: x.queued, applied: x.applied,
		method: x.method, route: x.route, code: ctx.Response.StatusCode(), size: size,
	}
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		path, _ := splitTarget(ctx.RequestURI()) // the query may contain a value
		r.path = string(path)
	}
	ctx.Conn().(*conn).slow = r
}

// sent is called when c's answer has been sent, or can't be.
func (l *slowLog) sent(c *conn) {
	if r := c.slow; r != nil {
		c.slow = nil
		l.tell(r, time.Since(r.began))
	}
}

func (l *slowLog) tell(r *slowRequest, took time.Duration) {
	if took < l.limit {
		return
	}
	l.recent.Add(r.json(took))
	untold, ok := l.mayTell(r.began.Add(took).Unix())
	if !ok {
		return
	}
	list := []slog.Attr{
		slog.String("method", verbNames[r.method.verb()]), slog.String("route", routeNames[r.route]),
		slog.Int("code", r.code), slog.Float64("dur_s", seconds(took)),
	}
	if r.applied > 0 {
		list = append(list, slog.Float64("parse_s", seconds(r.ready-r.queued-r.applied)),
			slog.Float64("queue_s", seconds(r.queued)), slog.Float64("apply_s", seconds(r.applied)))
	} else {
		list = append(list, slog.Float64("serve_s", seconds(r.ready)))
	}
	list = append(list, slog.Float64("write_s", seconds(took-r.ready)))
	if r.size >= 0 {
		list = append(list, slog.Int("size_b", r.size))
	}
	if r.path != "" {
		list = append(list, slog.String("path", r.path))
	}
	if untold > 0 {
		list = append(list, slog.Int64("untold", untold))
	}
	l.log.LogAttrs(context.Background(), slog.LevelWarn, "slow request", list...)
}

// mayTell reports whether another line may be logged in this second, and how many were
// suppressed before it.
func (l *slowLog) mayTell(second int64) (untold int64, ok bool) {
	if l.second.Swap(second) != second {
		l.told.Store(0)
	}
	if l.told.Add(1) > slowLinesLimit {
		l.untold.Add(1)
		return 0, false
	}
	return l.untold.Swap(0), true
}

// seconds is a duration as a log field.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }
