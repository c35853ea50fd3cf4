package httpfront

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"strings"
	"syscall"

	"github.com/valyala/fasthttp"

	"copse/httpfront/ops"
	"copse/statemachine/metric"
)

// Operators' requests on the client port. Package ops serves most of them on the operations
// port too.

// serveProbe answers /livez and /readyz. etcd of that time has neither.
func (s *Server) serveProbe(ctx *fasthttp.RequestCtx, x *exchange, probe string, checks ops.Checks) {
	query, _ := url.ParseQuery(string(x.query)) // whatever can be parsed of a broken query counts
	ok, body := checks.Answer(probe, query)
	if !ok {
		ctx.Response.Header.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
	ctx.Response.Header.SetContentTypeBytes(typePlain)
	ctx.Response.SetBodyString(body)
}

func (s *Server) serveMetrics(ctx *fasthttp.RequestCtx) {
	var w metric.Writer
	s.opts.Scrape(&w)
	ctx.Response.Header.SetContentType(metric.ContentType)
	ctx.Response.SetBodyRaw(w.Bytes())
}

// serveLogLevel changes the log level. It accepts the names and numbers that etcd accepts.
// While auth is off, so that nobody is root, only this machine's processes may do it.
func (s *Server) serveLogLevel(ctx *fasthttp.RequestCtx) {
	if !s.backend.Auth().Enabled && !ctx.RemoteIP().IsLoopback() {
		writeMessage(ctx, fasthttp.StatusForbidden, "While auth is off, the log level is changed from this machine only")
		return
	}
	var in struct{ Level string }
	// The standard library's decoder, as in etcd: it takes the first value and ignores the
	// rest.
	if err := json.NewDecoder(bytes.NewReader(ctx.Request.Body())).Decode(&in); err != nil {
		writeMessage(ctx, fasthttp.StatusBadRequest, "Invalid json body")
		return
	}
	level, ok := logLevel(in.Level)
	if !ok {
		writeMessage(ctx, fasthttp.StatusBadRequest, "Invalid log level "+in.Level)
		return
	}
	s.opts.SetLogLevel(level)
	s.opts.Log.Info("log level set", "level", level.String())
	ctx.Response.Header.SetStatusCode(fasthttp.StatusNoContent)
}

// logLevel maps etcd's levels to slog's, which are fewer.
func logLevel(name string) (level slog.Level, ok bool) {
	switch strings.ToUpper(name) {
	case "CRITICAL", "C":
		return slog.LevelError + 4, true
	case "ERROR", "0", "E":
		return slog.LevelError, true
	case "WARNING", "1", "W":
		return slog.LevelWarn, true
	case "NOTICE", "2", "N", "INFO", "3", "I":
		return slog.LevelInfo, true
	case "DEBUG", "4", "D":
		return slog.LevelDebug, true
	case "TRACE", "5", "T":
		return slog.LevelDebug - 4, true
	}
	return 0, false
}

// debugVars is the body of /debug/vars, in etcd's order. Of raft's status it shows what is
// known without asking dragonboat: neither the vote nor the others' progress, and as the
// log's position the applied index.
type debugVars struct {
	Cmdline             []string         `json:"cmdline"`
	FileDescriptorLimit uint64           `json:"file_descriptor_limit"`
	Memstats            runtime.MemStats `json:"memstats"`
	RaftStatus          raftStatus       `json:"raft.status"`
}

type raftStatus struct {
	ID        string `json:"id"`
	Term      uint64 `json:"term"`
	Commit    uint64 `json:"commit"`
	Lead      string `json:"lead"`
	RaftState string `json:"raftState"`
	Applied   uint64 `json:"applied"`
}

// serveDebugVars serves Go's expvar. Each request stops the program for some microseconds.
func (s *Server) serveDebugVars(ctx *fasthttp.RequestCtx) {
	c, st := s.backend.Cluster(), s.backend.State()
	vars := debugVars{Cmdline: os.Args, RaftStatus: raftStatus{
		ID: formatID(c.Self), Term: st.RaftTerm, Commit: st.RaftIndex,
		Lead: formatID(c.Leader), RaftState: "StateFollower", Applied: st.RaftIndex,
	}}
	if c.Leader == c.Self {
		vars.RaftStatus.RaftState = "StateLeader"
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		vars.FileDescriptorLimit = files.Cur
	}
	runtime.ReadMemStats(&vars.Memstats)
	writeJSON(ctx, fasthttp.StatusOK, &vars)
	ctx.Response.Header.SetContentType("application/json; charset=utf-8")
}
