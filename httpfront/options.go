package httpfront

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"copse/httpfront/ops"
	"copse/httpfront/ui"
	"copse/statemachine/inflight"
	"copse/statemachine/metric"
	"copse/statemachine/recent"
)

// Options configure a Server.
type Options struct {
	Requests
	// MaxConnections is how many clients may be connected at once; further ones
	// wait.
	MaxConnections int
	// CertificateNames makes the common name in a client's certificate a user, where the
	// request names none. See conn.certificateName.
	CertificateNames bool
	// InFlight bounds the bytes that requests hold together; nil: nothing does.
	InFlight *inflight.Budget
	// Live and Ready are what /livez and /readyz check.
	Live, Ready ops.Checks
	// Scrape writes every metric of the process, for /metrics.
	Scrape func(*metric.Writer)
	// LeaderChanges are the last changes of leaders, the newest first; nil: not known.
	LeaderChanges func() []recent.LeaderChange
	// Page is the web page, if clients get it too; nil: they don't.
	Page *ui.Page
	// SetLogLevel changes what is logged, for PUT /config/local/log.
	SetLogLevel func(slog.Level)
	// Log receives slow requests, and trouble with listeners and certificates. Nobody waits for
	// it: lines are left out and counted while it is slow.
	Log *slog.Logger

	clock func() time.Time // of tests; nil: the system clock
}

// Requests bound what one request may take. None but CORS and SlowRequest may be
// zero.
type Requests struct {
	// CORS lists the origins whose pages may use the API; "*" stands for all.
	CORS []string
	// EventHistory is how many events a stream may fall behind before it is ended:
	// as many as the window of events holds.
	EventHistory int
	// MaxRequestBytes limits the form body of a PUT or POST, which holds the value.
	MaxRequestBytes int
	// MaxHeaderBytes limits the request line and headers together, with 4 KiB to spare as in
	// Go's library.
	MaxHeaderBytes int
	// ReadTimeout is for a request to arrive, WriteTimeout for the client to take an
	// answer or one part of a long one, IdleTimeout for the next request to begin.
	// Parked watches have no timeout.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// Requests that take longer than SlowRequest are logged, with the time of each
	// stage; 0 turns that off.
	SlowRequest time.Duration
}

// check returns what is missing. The defaults are package config's.
func (o *Options) check() error {
	var missing []string
	for name, zero := range map[string]bool{
		"EventHistory": o.EventHistory < 1, "MaxRequestBytes": o.MaxRequestBytes < 1, "MaxHeaderBytes": o.MaxHeaderBytes < 1,
		"ReadTimeout": o.ReadTimeout <= 0, "WriteTimeout": o.WriteTimeout <= 0, "IdleTimeout": o.IdleTimeout <= 0,
		"MaxConnections": o.MaxConnections < 1, "Scrape": o.Scrape == nil, "SetLogLevel": o.SetLogLevel == nil, "Log": o.Log == nil,
	} {
		if zero {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("httpfront: these options must be set: %s", strings.Join(missing, ", "))
}
