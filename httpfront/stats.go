package httpfront

import (
	"time"

	"github.com/goccy/go-json"
	"github.com/valyala/fasthttp"
)

// storeStats is the body of /v2/stats/store, in etcd's order.
type storeStats struct {
	GetsSuccess             uint64 `json:"getsSuccess"`
	GetsFail                uint64 `json:"getsFail"`
	SetsSuccess             uint64 `json:"setsSuccess"`
	SetsFail                uint64 `json:"setsFail"`
	DeleteSuccess           uint64 `json:"deleteSuccess"`
	DeleteFail              uint64 `json:"deleteFail"`
	UpdateSuccess           uint64 `json:"updateSuccess"`
	UpdateFail              uint64 `json:"updateFail"`
	CreateSuccess           uint64 `json:"createSuccess"`
	CreateFail              uint64 `json:"createFail"`
	CompareAndSwapSuccess   uint64 `json:"compareAndSwapSuccess"`
	CompareAndSwapFail      uint64 `json:"compareAndSwapFail"`
	CompareAndDeleteSuccess uint64 `json:"compareAndDeleteSuccess"`
	CompareAndDeleteFail    uint64 `json:"compareAndDeleteFail"`
	ExpireCount             uint64 `json:"expireCount"`
	Watchers                uint64 `json:"watchers"`
}

func (s *Server) serveStoreStats(ctx *fasthttp.RequestCtx, m method) {
	if allow(ctx, m, allowGet) {
		writeJSON(ctx, fasthttp.StatusOK, storeStats(s.backend.Stats()))
	}
}

// selfStats is the body of /v2/stats/self. etcd leaves rates that are zero
// out; copse doesn't measure any yet.
type selfStats struct {
	Name       string     `json:"name"`
	ID         string     `json:"id"`
	State      string     `json:"state"`
	StartTime  time.Time  `json:"startTime"`
	LeaderInfo leaderInfo `json:"leaderInfo"`

	RecvAppendRequestCnt uint64 `json:"recvAppendRequestCnt"`
	SendAppendRequestCnt uint64 `json:"sendAppendRequestCnt"`
}

type leaderInfo struct {
	Leader    string    `json:"leader"` // empty: none known
	Uptime    string    `json:"uptime"`
	StartTime time.Time `json:"startTime"`
}

func (s *Server) serveSelfStats(ctx *fasthttp.RequestCtx, m method) {
	if !allow(ctx, m, allowGet) {
		return
	}
	c := s.backend.Cluster()
	self, _ := c.Member(c.Self)
	stats := selfStats{
		Name:       self.Name,
		ID:         formatID(c.Self),
		State:      "StateFollower",
		StartTime:  c.Started,
		LeaderInfo: leaderInfo{Uptime: "0s"},
	}
	if c.Leader != 0 {
		stats.LeaderInfo = leaderInfo{
			Leader:    formatID(c.Leader),
			Uptime:    s.now().Sub(c.LeaderSince).String(),
			StartTime: c.LeaderSince,
		}
	}
	if c.Leader == c.Self {
		stats.State = "StateLeader"
	}
	writeJSON(ctx, fasthttp.StatusOK, stats)
}

type leaderStats struct {
	Leader    string              `json:"leader"`
	Followers map[string]struct{} `json:"followers"` // none, as long as there is one member
}

func (s *Server) serveLeaderStats(ctx *fasthttp.RequestCtx, m method) {
	if !allow(ctx, m, allowGet) {
		return
	}
	c := s.backend.Cluster()
	if c.Leader == 0 || c.Leader != c.Self {
		writeMessage(ctx, fasthttp.StatusForbidden, "not current leader")
		return
	}
	writeJSON(ctx, fasthttp.StatusOK, leaderStats{Leader: formatID(c.Leader), Followers: map[string]struct{}{}})
}

// writeJSON answers with v as JSON, without a newline.
func writeJSON(ctx *fasthttp.RequestCtx, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("httpfront: a type that JSON can't show: " + err.Error())
	}
	ctx.Response.Header.SetStatusCode(code)
	ctx.Response.Header.SetContentTypeBytes(typeJSON)
	ctx.Response.SwapBody(body)
}

// writeJSONLine is writeJSON with a newline behind: so members and auth answer.
func writeJSONLine(ctx *fasthttp.RequestCtx, code int, v any) {
	writeJSON(ctx, code, v)
	ctx.Response.AppendBodyString("\n")
}
