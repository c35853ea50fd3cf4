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

// What operators ask on the client port. Package ops answers most of it too, on
// a port of its own.

var allowPut = methods{methodPut, "PUT"}

// serveProbe answers /livez and /readyz. etcd has neither in its v2 days.
func (s *Server) serveProbe(ctx *fasthttp.RequestCtx, x *exchange, probe string, checks ops.Checks) {
	if !allow(ctx, x.method, allowMachines) {
		return
	}
	query, _ := url.ParseQuery(string(x.query)) // of a broken query, what can be read counts
	ok, body := checks.Answer(probe, query)
	if !ok {
		ctx.Response.Header.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
	ctx.Response.Header.SetContentTypeBytes(typePlain)
	ctx.Response.SetBodyString(body)
}

func (s *Server) serveMetrics(ctx *fasthttp.RequestCtx, m method) {
	if !allow(ctx, m, allowMachines) {
		return
	}
	var w metric.Writer
	s.opts.Scrape(&w)
	ctx.Response.Header.SetContentType(metric.ContentType)
	ctx.Response.SetBodyRaw(w.Bytes())
}

// serveLogLevel changes what is logged from now on. It takes the words and the
// numbers that etcd takes.
func (s *Server) serveLogLevel(ctx *fasthttp.RequestCtx, m method) {
	if !allow(ctx, m, allowPut) {
		return
	}
	var in struct{ Level string }
	// A decoder takes the first value, whatever follows it. It is the library's
	// own, which etcd uses: nobody is in a hurry here.
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

// logLevel knows etcd's levels, some of which are one for slog.
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

// debugVars is the body of /debug/vars, in etcd's order. Of raft's status it
// has what this member knows without asking the engine: no vote, no progress
// of the others; and of the log, what is applied here.
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

// serveDebugVars answers what Go programs call expvar. Whoever asks stops the
// program for some microseconds.
func (s *Server) serveDebugVars(ctx *fasthttp.RequestCtx, m method) {
	if !allow(ctx, m, allowGet) {
		return
	}
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
