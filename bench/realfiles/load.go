package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"copse/bench/v2api"
)

// change is one acknowledged write, as every watcher has to see it.
type change struct {
	index  uint64
	action string
	key    string // as printed
	value  sum    // of the printed value; empty for a delete
}

// ledger records acknowledged changes. It also has the watchers' positions,
// so that writers can wait for them.
type ledger struct {
	mu      sync.Mutex
	cond    *sync.Cond
	changes []change // visible ones
	latest  uint64   // the highest index among them
	at      []uint64 // the last index that each watcher saw
	failed  error    // the first failure of a watcher
}

func newLedger(watchers int) *ledger {
	l := &ledger{at: make([]uint64, watchers)}
	l.cond = sync.NewCond(&l.mu)
	return l
}

func (l *ledger) acked(c change) {
	l.mu.Lock()
	l.changes = append(l.changes, c)
	l.latest = max(l.latest, c.index)
	l.mu.Unlock()
}

func (l *ledger) saw(watcher int, index uint64) {
	l.mu.Lock()
	l.at[watcher] = index
	l.cond.Broadcast()
	l.mu.Unlock()
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	if l.failed == nil {
		l.failed = err
	}
	l.cond.Broadcast()
	l.mu.Unlock()
}

// lagLimit keeps a long-poll within the 1,000 events that v2 keeps for it.
const lagLimit = 500

// pace waits for the slowest watcher.
func (l *ledger) pace() error { return l.wait(lagLimit) }

// wait returns once every watcher is at most the given number of indexes behind.
func (l *ledger) wait(behind uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stuck *time.Timer
	for l.failed == nil {
		slowest := l.latest
		for _, at := range l.at {
			slowest = min(slowest, at)
		}
		if slowest+behind >= l.latest {
			break
		}
		if stuck == nil {
			stuck = time.AfterFunc(answerLimit, func() {
				l.fail(fmt.Errorf("a watcher did not get on for %v", answerLimit))
			})
			defer stuck.Stop()
		}
		l.cond.Wait()
	}
	return l.failed
}

// loader writes files to the server.
type loader struct {
	client *client
	ledger *ledger
	bytes  atomic.Int64
	binary atomic.Int64
}

// loaded is a file that the server has acknowledged.
type loaded struct {
	file
	text    bool // valid UTF-8
	value   sum  // of the value as printed
	created uint64
	index   uint64
}

// each calls do for 0..n-1 from the given number of goroutines and awaits them; the first
// error ends it.
func each(n, writers int, do func(i int) error) error {
	var next atomic.Int64
	var failure atomic.Pointer[error]
	var working sync.WaitGroup
	for range writers {
		working.Go(func() {
			for failure.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					failure.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	working.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

// create loads one file under a key that doesn't exist yet.
func (l *loader) create(f file) (loaded, error) {
	value, err := os.ReadFile(f.path)
	if err != nil {
		return loaded{}, err
	}
	shown := printed(value)
	ev, err := l.write(f, "create", "prevExist=false", value, http.StatusCreated)
	if err != nil {
		return loaded{}, err
	}
	l.bytes.Add(int64(len(value)))
	done := loaded{file: f, text: len(shown) == len(value), value: sumOf(shown), created: ev.Node.Created, index: ev.Node.Modified}
	if !done.text {
		l.binary.Add(1)
	}
	return done, nil
}

// disturb changes a loaded file and changes it back, by comparing with its
// index, or takes it away and puts it there again.
func (l *loader) disturb(f *loaded, remove bool) error {
	value, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	if sumOf(printed(value)) != f.value {
		return errors.New(f.path + " changed while it was loaded")
	}
	if remove {
		if _, err := l.write(f.file, "delete", "", nil, http.StatusOK); err != nil {
			return err
		}
		ev, err := l.write(f.file, "create", "prevExist=false", value, http.StatusCreated)
		f.index, f.created = ev.Node.Modified, ev.Node.Created
		return err
	}
	for _, v := range [][]byte{append([]byte("changed: "), value...), value} {
		ev, err := l.write(f.file, "compareAndSwap", fmt.Sprintf("prevIndex=%d", f.index), v, http.StatusOK)
		if err != nil {
			return err
		}
		f.index = ev.Node.Modified
	}
	return nil
}

func (l *loader) write(f file, action, query string, value []byte, want int) (v2api.Event, error) {
	if err := l.ledger.pace(); err != nil {
		return v2api.Event{}, err
	}
	method := http.MethodPut
	if action == "delete" {
		method = http.MethodDelete
	}
	ev, err := l.client.do(method, f.key, query, value, want)
	if err != nil {
		return v2api.Event{}, err
	}
	c := change{index: ev.Node.Modified, action: action, key: string(printed([]byte(f.key))), value: sumOf(printed(value))}
	if ev.Action != c.action || ev.Node.Key != c.key || sumOf([]byte(ev.Node.Value)) != c.value {
		return v2api.Event{}, fmt.Errorf("%s of %q is answered with %s of %q, and a value of %d bytes", action, f.key, ev.Action, ev.Node.Key, len(ev.Node.Value))
	}
	if !f.hidden {
		l.ledger.acked(c)
	}
	return ev, nil
}
