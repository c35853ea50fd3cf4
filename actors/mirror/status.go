package mirror

import (
	"strconv"
	"sync"
	"time"

	"copse/statemachine/metric"
	"copse/statemachine/tree"
)

// status is the follower's view of its source.
type status struct {
	mu    sync.Mutex
	index tree.Index // the source's
	equal time.Time  // when the mirror had all of it
	err   error
	said  time.Time // the last line in the log
	line  string
}

func (s *status) source(at, own tree.Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index = max(s.index, at); own == at {
		s.equal = time.Now()
	}
}

func (s *status) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// worthALine reports whether the log has not had this error for a while.
func (s *status) worthALine(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == err.Error() && time.Since(s.said) < 10*time.Second {
		return false
	}
	s.line, s.said = err.Error(), time.Now()
	return true
}

// lag returns by how many events, and for how long, the mirror has been behind its source.
func (s *status) lag(own tree.Index) (events uint64, since time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index > own {
		events = uint64(s.index - own)
	}
	if (events > 0 || s.err != nil) && !s.equal.IsZero() {
		since = time.Since(s.equal)
	}
	return events, since
}

// Status is the body of GET /v2/copse/mirror.
type Status struct {
	Mirror      bool       `json:"mirror"`
	Sources     []string   `json:"sources,omitempty"`
	Follower    string     `json:"follower,omitempty"` // the member's id
	Index       tree.Index `json:"index"`
	SourceIndex tree.Index `json:"sourceIndex,omitempty"`
	LagEvents   uint64     `json:"lagEvents"`
	LagMs       int64      `json:"lagMs"`
	Error       string     `json:"error,omitempty"`
	Filling     bool       `json:"filling,omitempty"`
	Compared    *Compared  `json:"compared,omitempty"`
	Past        *Past      `json:"past,omitempty"`
	// EndedAt is the source's index at which the cluster was promoted.
	EndedAt tree.Index `json:"endedAt,omitempty"`
}

// Compared is the last comparison of everything: when, at which index, and how many nodes it corrected.
type Compared struct {
	At        time.Time  `json:"at"`
	Index     tree.Index `json:"index"`
	Corrected uint64     `json:"corrected"`
}

// Past are the writes that didn't pass through the mirror. Silent are members that didn't say what
// passed through them, so that their clients' writes count too.
type Past struct {
	Since  time.Time `json:"since"`
	Keys   []Foreign `json:"keys,omitempty"`
	Silent []string  `json:"silent,omitempty"`
}

// Status returns what this member's follower knows: all that there is, if it leads.
func (f *Follower) Status(self uint64) Status {
	s, own := f.o.Store.Mirror(), f.o.Store.Index()
	out := Status{Mirror: s.On, Sources: s.Sources, Index: own, EndedAt: s.Ended, Filling: s.Fill != 0}
	if s.Compared != 0 {
		out.Compared = &Compared{time.Unix(0, s.Compared).UTC(), s.ComparedAt, s.Corrected}
	}
	if !s.On {
		return out
	}
	events, since := f.seen.lag(own)
	out.Follower, out.LagEvents, out.LagMs = strconv.FormatUint(self, 16), events, since.Milliseconds()
	f.seen.mu.Lock()
	out.SourceIndex = f.seen.index
	if f.seen.err != nil {
		out.Error = f.seen.err.Error()
	}
	f.seen.mu.Unlock()
	all, silent, began := f.foreign.list()
	out.Past = &Past{Since: began.UTC(), Keys: all[:min(len(all), 100)]}
	for _, id := range silent {
		out.Past.Silent = append(out.Past.Silent, strconv.FormatUint(id, 16))
	}
	return out
}

// WriteMetrics writes the mirror's metrics: the lag is that of the member that follows.
func (f *Follower) WriteMetrics(w *metric.Writer) {
	s, own := f.o.Store.Mirror(), f.o.Store.Index()
	if !s.On {
		return
	}
	leads := f.o.Leads()
	w.Family("copse_mirror_following", metric.GaugeKind, "Whether this member is the one that follows the source.")
	w.Bool(leads)
	w.Family("copse_mirror_forwarded_total", metric.CounterKind, "Writes of this member's clients that the source has carried out.")
	w.Uint(f.o.Gate.passed.total())
	if !leads {
		return
	}
	events, since := f.seen.lag(own)
	w.Family("copse_mirror_lag_events", metric.GaugeKind, "By how many indexes the mirror is behind its source.")
	w.Uint(events)
	w.Family("copse_mirror_lag_seconds", metric.GaugeKind, "How long ago the mirror last had all that its source had; 0 while it does.")
	w.Float(since.Seconds())
	w.Family("copse_mirror_corrected_nodes", metric.GaugeKind, "Nodes that the last comparison of everything found different.")
	w.Uint(s.Corrected)
	all, _, _ := f.foreign.list()
	sum := uint64(0)
	for _, c := range all {
		sum += c.Count
	}
	w.Family("copse_mirror_foreign_writes", metric.GaugeKind, "Writes at the source that didn't pass through the mirror, since this member has followed.")
	w.Uint(sum)
}
