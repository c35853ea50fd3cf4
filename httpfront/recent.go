package httpfront

import (
	"context"
	"log/slog"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/recent"
	"copse/statemachine/tree"
)

// noted has what operators are told in the log, or may ask about later.
type noted struct {
	slow      slowLog
	outdated  recent.List[outdatedJSON]
	bodyTypes bodyTypes
}

// slowJSON is a slow request as /v2/copse/recent shows it. Times are seconds. As in the log,
// there is a path only if it was served at debug.
type slowJSON struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Route  string    `json:"route"`
	Code   int       `json:"code"`
	Took   float64   `json:"seconds"`
	Queue  float64   `json:"queue"` // for a write, the shard's parts of that
	Apply  float64   `json:"apply"`
	Write  float64   `json:"write"`          // until the client had it
	Size   *int      `json:"size,omitempty"` // bytes, if known
	Path   string    `json:"path,omitempty"`
}

func (r *slowRequest) json(took time.Duration) slowJSON {
	out := slowJSON{
		At: r.began.UTC(), Method: verbNames[r.method.verb()], Route: routeNames[r.route], Code: r.code, Took: seconds(took),
		Queue: seconds(r.queued), Apply: seconds(r.applied), Write: seconds(took - r.ready), Path: r.path,
	}
	if r.size >= 0 {
		out.Size = &r.size
	}
	return out
}

// outdatedJSON is a watch that was refused with errorCode 401.
type outdatedJSON struct {
	At    time.Time `json:"at"`
	Since uint64    `json:"waitIndex"`
	Index uint64    `json:"index"` // the tree's, then
	Path  string    `json:"path,omitempty"`
}

func (s *Server) noteOutdated(ctx *fasthttp.RequestCtx, w *tree.Watch, err *tree.Error) {
	out := outdatedJSON{At: s.now().UTC(), Since: uint64(w.Since), Index: uint64(err.Index)}
	if s.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
		path, _ := splitTarget(ctx.RequestURI())
		out.Path = string(path)
	}
	s.outdated.Add(out)
}

// leaderJSON is a change of a shard's leader, as this member saw it.
type leaderJSON struct {
	At     time.Time `json:"at"`
	Shard  uint64    `json:"shard"`
	Leader string    `json:"leader"` // empty: none is known
	Term   uint64    `json:"term"`
}

// recentJSON is the body of /v2/copse/recent: of each kind the last hundred, the newest
// first.
type recentJSON struct {
	Slow     []slowJSON     `json:"slow"`
	Limit    float64        `json:"slowSeconds"` // from which a request is slow; 0: none is
	Outdated []outdatedJSON `json:"outdated"`
	Leaders  []leaderJSON   `json:"leaders"`
}

// serveRecent serves this member's lists of recent occurrences. etcd has no such path.
func (s *Server) serveRecent(ctx *fasthttp.RequestCtx) {
	out := recentJSON{Slow: s.slow.recent.All(), Limit: seconds(s.opts.SlowRequest), Outdated: s.outdated.All(), Leaders: []leaderJSON{}}
	if s.opts.LeaderChanges != nil {
		for _, c := range s.opts.LeaderChanges() {
			change := leaderJSON{At: c.At.UTC(), Shard: c.Shard, Term: c.Term}
			if c.Leader != 0 {
				change.Leader = formatID(c.Leader)
			}
			out.Leaders = append(out.Leaders, change)
		}
	}
	writeJSON(ctx, fasthttp.StatusOK, &out)
}
