package httpfront

import (
	"math/bits"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/metric"
)

// verbNames are the methods by the position of their bit, after the name for all others.
var verbNames = [...]string{"OTHER", "GET", "HEAD", "PUT", "POST", "DELETE"}

func (m method) verb() int { return bits.Len8(uint8(m)) }

// codeList are the status codes that are counted separately; codeIndex is the position of
// one. Others are shown as 0.
var codeList = [...]int{0, 200, 201, 204, 206, 301, 304, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 416, 417, 431, 500, 501, 503, 504}

func codeIndex(code int) int {
	// After the three frequent ones a linear search is cheap enough.
	switch code {
	case 200:
		return 1
	case 201:
		return 2
	case 404:
		return 10
	}
	for i, c := range codeList {
		if c == code {
			return i
		}
	}
	return 0
}

// meter counts what the server does.
type meter struct {
	requests *metric.Striped[requestMeter]
	// outdated counts watches for events before the window: v2's 401, after which a client has
	// to read everything again.
	outdated   atomic.Uint64
	handshakes atomic.Uint64 // that failed
	parking    []parkMeter   // one for each poll loop
}

// requestMeter counts requests, by route. All of it is allocated at once, so that a request
// costs a few atomic additions and no lookup.
type requestMeter struct {
	requests  [][len(verbNames)][len(codeList)]atomic.Uint64
	durations [][len(verbNames)]metric.Histogram
}

// parkMeter counts what the poll loop does with watches.
type parkMeter struct {
	polls, streams atomic.Int64  // parked now
	idle, active   atomic.Int64  // other connections in the poll loop
	sent           atomic.Uint64 // events
	slow           atomic.Uint64 // streams that were ended
	revoked        atomic.Uint64 // watches that were ended
	_              [128]byte     // another loop's lines follow
}

func newMeter(loops int) *meter {
	return &meter{requests: metric.NewStriped((*requestMeter).init), parking: make([]parkMeter, loops)}
}

func (m *requestMeter) init() {
	m.requests = make([][len(verbNames)][len(codeList)]atomic.Uint64, len(routeNames))
	m.durations = make([][len(verbNames)]metric.Histogram, len(routeNames))
	for route := range m.durations {
		for verb := range m.durations[route] {
			m.durations[route][verb].InitDurations()
		}
	}
}

// total adds up what all cores have counted.
func (m *meter) total() *requestMeter {
	sum := new(requestMeter)
	sum.init()
	for part := range m.requests.All {
		for route := range sum.durations {
			for verb := range verbNames {
				for i := range codeList {
					sum.requests[route][verb][i].Add(part.requests[route][verb][i].Load())
				}
				sum.durations[route][verb].Include(&part.durations[route][verb])
			}
		}
	}
	return sum
}

// count counts one request and its time, from when it had been read to when its answer was
// ready to be sent.
func (m *meter) count(route routeID, of method, code int, took time.Duration) {
	verb := of.verb()
	part := m.requests.Take()
	part.requests[route][verb][codeIndex(code)].Add(1)
	part.durations[route][verb].Observe(int64(took))
	m.requests.Give(part)
}

// parkTotals are the parkMeters of all poll loops, added up.
type parkTotals struct {
	polls, streams, idle, active int64
	sent, slow, revoked          uint64
}

func (m *meter) parked() (sum parkTotals) {
	for i := range m.parking {
		p := &m.parking[i]
		sum.polls += p.polls.Load()
		sum.streams += p.streams.Load()
		sum.idle += p.idle.Load()
		sum.active += p.active.Load()
		sum.sent += p.sent.Load()
		sum.slow += p.slow.Load()
		sum.revoked += p.revoked.Load()
	}
	return sum
}

// watching is the gauge of parked watches of one kind.
func (m *parkMeter) watching(stream bool) *atomic.Int64 {
	if stream {
		return &m.streams
	}
	return &m.polls
}

// gauge is that of p's stage.
func (m *parkMeter) gauge(p *parked) *atomic.Int64 {
	switch p.stage {
	case watching:
		return m.watching(p.watch.Stream)
	case idle:
		return &m.idle
	}
	return &m.active
}

// observe counts a request that has been served.
func (s *Server) observe(ctx *fasthttp.RequestCtx, x *exchange) {
	took := time.Since(x.arrived)
	s.meter.count(x.route, x.method, ctx.Response.StatusCode(), took)
	s.slow.watch(ctx, x, took)
}

// WriteMetrics writes the server's metrics.
func (s *Server) WriteMetrics(w *metric.Writer) {
	m := s.meter
	requests, parked := m.total(), m.parked()
	requests.write(w)
	active, idle := s.conns.count()
	active += int(parked.active)
	idle += int(parked.idle)
	w.Gauge("copse_http_in_flight", "Requests being served, without parked watches.", float64(active))
	w.Family("copse_http_connections", metric.GaugeKind, "Client connections: active with a request, idle, or parked with a watch.")
	w.Uint(uint64(active), "state", "active")
	w.Uint(uint64(idle), "state", "idle")
	w.Uint(uint64(max(0, parked.polls+parked.streams)), "state", "parked")

	w.Family("copse_watchers", metric.GaugeKind, "Parked watches: long-polls wait for one event, streams for all.")
	w.Uint(uint64(max(0, parked.polls)), "kind", "poll")
	w.Uint(uint64(max(0, parked.streams)), "kind", "stream")
	w.Counter("copse_watch_events_sent_total", "Events sent to watchers.", parked.sent)
	w.Counter("copse_watch_slow_total", "Streams ended because the client had fallen behind the event window.", parked.slow)
	w.Counter("copse_watch_revoked_total", "Watches ended because their client may no longer read what it watches.", parked.revoked)
	w.Counter("copse_watch_outdated_total", "Watches refused with errorCode 401, as their index had left the event window.", m.outdated.Load())
	w.Counter("copse_tls_handshakes_failed_total", "Failed TLS handshakes with clients.", m.handshakes.Load())
	s.logins.WriteMetrics(w)
	s.inFlight.WriteMetrics(w)
	requests.writeEtcd(w)
}

func (m *requestMeter) write(w *metric.Writer) {
	w.Family("copse_http_requests_total", metric.CounterKind, "Requests answered, by method, route and status code.")
	for route := range m.requests {
		for verb := range m.requests[route] {
			for i := range m.requests[route][verb] {
				if n := m.requests[route][verb][i].Load(); n > 0 {
					w.Uint(n, "method", verbNames[verb], "route", routeNames[route], "code", strconv.Itoa(codeList[i]))
				}
			}
		}
	}
	w.Family("copse_http_request_duration_seconds", metric.HistogramKind, "Time from the request having been read to the answer being ready; for a watch, until it is parked.")
	for route := range m.durations {
		for verb := range m.durations[route] {
			if h := &m.durations[route][verb]; h.Count() > 0 {
				w.Histogram(h, "method", verbNames[verb], "route", routeNames[route])
			}
		}
	}
}

// writeEtcd writes the same under etcd's names, those of 2.3 and of 3.x, for existing
// dashboards. etcd counts requests for keys without watches.
func (m *requestMeter) writeEtcd(w *metric.Writer) {
	keyRoutes := []routeID{routeKeys, routeQuorum}
	verb := func(route routeID, verb int) string {
		if route == routeQuorum {
			return "QGET"
		}
		return verbNames[verb]
	}
	w.Family("etcd_http_received_total", metric.CounterKind, "As in etcd: requests for keys, without watches, by method; QGET is a quorum read.")
	for _, route := range keyRoutes {
		for v := range verbNames {
			if n := m.durations[route][v].Count(); n > 0 {
				w.Uint(n, "method", verb(route, v))
			}
		}
	}
	w.Family("etcd_http_failed_total", metric.CounterKind, "As in etcd: failed requests for keys, without watches.")
	for _, route := range keyRoutes {
		for v := range verbNames {
			for i := range codeList {
				if n := m.requests[route][v][i].Load(); n > 0 && codeList[i] >= 400 {
					w.Uint(n, "method", verb(route, v), "code", strconv.Itoa(codeList[i]))
				}
			}
		}
	}
	for _, name := range []string{"etcd_http_successful_duration_second", "etcd_http_successful_duration_seconds"} {
		w.Family(name, metric.HistogramKind, "As in etcd, but including failed ones: duration of requests for keys, without watches.")
		for _, route := range keyRoutes {
			for v := range verbNames {
				if h := &m.durations[route][v]; h.Count() > 0 {
					w.Histogram(h, "method", verb(route, v))
				}
			}
		}
	}
	watches := m.durations[routeWatch][methodGet.verb()].Count()
	for _, name := range []string{"etcd_store_watch_requests_total", "etcd_debugging_store_watch_requests_total"} {
		w.Counter(name, "As in etcd: watch requests.", watches)
	}
}
