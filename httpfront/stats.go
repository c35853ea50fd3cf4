package httpfront

import (
	"math"
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

func (s *Server) serveStoreStats(ctx *fasthttp.RequestCtx) {
	writeJSON(ctx, fasthttp.StatusOK, storeStats(s.backend.Stats()))
}

// selfStats is the body of /v2/stats/self, in etcd's order. Zero rates are omitted.
type selfStats struct {
	Name       string     `json:"name"`
	ID         string     `json:"id"`
	State      string     `json:"state"`
	StartTime  time.Time  `json:"startTime"`
	LeaderInfo leaderInfo `json:"leaderInfo"`

	RecvAppendRequestCnt uint64  `json:"recvAppendRequestCnt"`
	RecvPkgRate          float64 `json:"recvPkgRate,omitempty"`
	RecvBandwidthRate    float64 `json:"recvBandwidthRate,omitempty"`
	SendAppendRequestCnt uint64  `json:"sendAppendRequestCnt"`
	SendPkgRate          float64 `json:"sendPkgRate,omitempty"`
	SendBandwidthRate    float64 `json:"sendBandwidthRate,omitempty"`
}

// leaderInfo is about the current leader, or the last known one.
type leaderInfo struct {
	Leader    string    `json:"leader"` // empty: none so far
	Uptime    string    `json:"uptime"`
	StartTime time.Time `json:"startTime"`
}

func (s *Server) serveSelfStats(ctx *fasthttp.RequestCtx) {
	c, p := s.backend.Cluster(), s.backend.PeerStats()
	self, _ := c.Member(c.Self)
	stats := selfStats{
		Name:       self.Name,
		ID:         formatID(c.Self),
		State:      "StateFollower",
		StartTime:  c.Started,
		LeaderInfo: leaderInfo{StartTime: c.Started},

		RecvAppendRequestCnt: p.RecvAppends,
		RecvPkgRate:          p.RecvPackageRate,
		RecvBandwidthRate:    p.RecvBandwidthRate,
		SendAppendRequestCnt: p.SendAppends,
		SendPkgRate:          p.SendPackageRate,
		SendBandwidthRate:    p.SendBandwidthRate,
	}
	if c.LastLeader != 0 {
		stats.LeaderInfo = leaderInfo{Leader: formatID(c.LastLeader), StartTime: c.LeaderSince}
	}
	stats.LeaderInfo.Uptime = s.now().Sub(stats.LeaderInfo.StartTime).String()
	if c.LastLeader == c.Self {
		stats.State = "StateLeader"
	}
	writeJSON(ctx, fasthttp.StatusOK, stats)
}

// leaderStats is the body of /v2/stats/leader, in etcd's order.
type leaderStats struct {
	Leader    string                   `json:"leader"`
	Followers map[string]followerStats `json:"followers"` // by id; JSON sorts them
}

type followerStats struct {
	Latency latency `json:"latency"`
	Counts  counts  `json:"counts"`
}

// latency is in milliseconds.
type latency struct {
	Current           float64 `json:"current"`
	Average           float64 `json:"average"`
	StandardDeviation float64 `json:"standardDeviation"`
	Minimum           float64 `json:"minimum"`
	Maximum           float64 `json:"maximum"`
}

type counts struct {
	Fail    uint64 `json:"fail"`
	Success uint64 `json:"success"`
}

// noMinimum is v2's value before there is a minimum.
const noMinimum = math.MaxInt64

func (s *Server) serveLeaderStats(ctx *fasthttp.RequestCtx) {
	c := s.backend.Cluster()
	if c.Leader == 0 || c.Leader != c.Self {
		writeMessage(ctx, fasthttp.StatusForbidden, "not current leader")
		return
	}
	stats := leaderStats{Leader: formatID(c.Leader), Followers: make(map[string]followerStats)}
	for _, m := range c.Members {
		if m.ID != c.Self {
			stats.Followers[formatID(m.ID)] = followerStats{Latency: latency{Minimum: noMinimum}}
		}
	}
	for _, f := range s.backend.PeerStats().Followers {
		id := formatID(f.ID)
		if _, ok := stats.Followers[id]; !ok {
			continue // it was removed
		}
		l := latency{f.Current, f.Average, f.StandardDeviation, f.Minimum, f.Maximum}
		if f.Success == 0 {
			l.Minimum = noMinimum
		}
		stats.Followers[id] = followerStats{Latency: l, Counts: counts{Fail: f.Fail, Success: f.Success}}
	}
	writeJSON(ctx, fasthttp.StatusOK, stats)
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

// writeJSONLine is writeJSON with a newline, for members and auth.
func writeJSONLine(ctx *fasthttp.RequestCtx, code int, v any) {
	writeJSON(ctx, code, v)
	ctx.Response.AppendBodyString("\n")
}
