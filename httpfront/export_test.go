package httpfront

import (
	"log/slog"
	"time"

	"copse/httpfront/login"
	"copse/statemachine/auth"
	"copse/statemachine/metric"
	"copse/statemachine/tree"
)

// NewTestServer returns a Server. What the options leave out is set to something that
// no test notices.
func NewTestServer(b Backend, o Options) *Server {
	for field, value := range map[*int]int{
		&o.EventHistory: 1000, &o.MaxRequestBytes: 10 << 20, &o.MaxHeaderBytes: 32 << 10, &o.MaxConnections: 1 << 20,
	} {
		if *field == 0 {
			*field = value
		}
	}
	for _, field := range []*time.Duration{&o.ReadTimeout, &o.WriteTimeout, &o.IdleTimeout} {
		if *field == 0 {
			*field = 5 * time.Minute
		}
	}
	if o.Scrape == nil {
		o.Scrape = func(*metric.Writer) {}
	}
	if o.SetLogLevel == nil {
		o.SetLogLevel = func(slog.Level) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := NewServer(b, o)
	if err != nil {
		panic(err)
	}
	return s
}

// SetClock sets the clock that times to live count from.
func (s *Server) SetClock(now func() time.Time) { s.opts.clock = now }

// Logins checks this server's passwords.
func (s *Server) Logins() *login.Checker { return s.logins }

// newTestPollLoop returns a poll loop; see NewTestServer.
func newTestPollLoop(o pollLoopOptions) (*pollLoop, error) {
	if o.unwatch == nil {
		o.unwatch = func(*tree.Watch) {}
	}
	if o.told == nil {
		o.told = func(dst []tree.Index) []tree.Index { return dst }
	}
	if o.streamWindow == 0 {
		o.streamWindow = 1000
	}
	if o.streamLimit == 0 {
		o.streamLimit = streamLimit
	}
	if o.limit == nil {
		o.limit = newConnLimit(1<<20, func() {})
	}
	if o.heads.limit == 0 {
		o.heads.limit = 32 << 10
	}
	if o.report == nil {
		o.report = func(string, error) {}
	}
	if o.auth == nil {
		open := new(auth.State)
		o.auth = func() *auth.State { return open }
	}
	if o.meter == nil {
		o.meter = new(parkMeter)
	}
	return newPollLoop(o)
}
