package history

import (
	"slices"
	"sync"
	"time"
)

// Recorder collects what the clients of one run do and see.
type Recorder struct {
	begin time.Time // fixed

	mu      sync.Mutex
	told    *sync.Cond
	history History
	seen    uint64 // the highest index that anyone was shown
	changed uint64 // the highest one of a change that anyone was shown
}

// NewRecorder starts a history of the load below root.
func NewRecorder(root string, rules Rules) *Recorder {
	r := &Recorder{begin: time.Now()}
	r.told = sync.NewCond(&r.mu)
	r.history = History{Begin: r.begin, Root: root, Rules: rules}
	return r
}

// Now is the time since the start.
func (r *Recorder) Now() time.Duration { return time.Since(r.begin) }

// Seen is the highest index that anyone was shown.
func (r *Recorder) Seen() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// Note adds a finished operation.
func (r *Recorder) Note(op *Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Ops = append(r.history.Ops, op)
	r.raise(op.Index)
	if op.Changed() {
		r.change(op.Event.Index())
	}
}

// Glance adds the header of a watch's answer.
func (r *Recorder) Glance(g Glance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Glances = append(r.history.Glances, g)
	r.raise(g.Index)
}

// Cluster adds a cluster id that was shown.
func (r *Recorder) Cluster(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id != "" && !slices.Contains(r.history.Clusters, id) {
		r.history.Clusters = append(r.history.Clusters, id)
	}
}

// Watch adds an empty watch; its entries are added with Tell.
func (r *Recorder) Watch(w Watch) *Watch {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Last = w.From - 1
	r.history.Watches = append(r.history.Watches, &w)
	return &w
}

// Tell adds what a watcher received, and wakes the callers of Await.
func (r *Recorder) Tell(w *Watch, e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Entries = append(w.Entries, e)
	if e.Event != nil {
		r.change(e.Event.Index())
		w.Last = max(w.Last, e.Event.Index())
	} else {
		w.Last = max(w.Last, e.Resumed-1)
	}
	r.told.Broadcast()
}

// Last is the last index that a watcher has seen.
func (r *Recorder) Last(w *Watch) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return w.Last
}

// Wake makes everyone in Await look again.
func (r *Recorder) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told.Broadcast()
}

// Await waits until done says so; it is asked under the lock, again after each
// Tell and each Wake, with the highest index of a change that anyone was shown.
func (r *Recorder) Await(done func(changed uint64) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !done(r.changed) {
		r.told.Wait()
	}
}

// Finish fills in what is known only at the end. Nothing may be recorded after it.
func (r *Recorder) Finish(fill func(*History)) *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	fill(&r.history)
	return &r.history
}

func (r *Recorder) raise(index uint64) { r.seen = max(r.seen, index) }

func (r *Recorder) change(index uint64) {
	r.raise(index)
	r.changed = max(r.changed, index)
}
