package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// differenceLimit bounds how many differences are printed; all are counted.
const differenceLimit = 20

// run does the whole job and returns how many differences it found.
func run(o options, out io.Writer) (differences int, err error) {
	o.to = strings.TrimSuffix(path.Clean("/"+o.to), "/")
	var mu sync.Mutex
	differ := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if differences++; differences <= differenceLimit {
			fmt.Fprintf(out, "difference: "+format+"\n", args...)
		}
	}
	for i := range o.from {
		if o.from[i], err = filepath.Abs(o.from[i]); err != nil {
			return 0, err
		}
		if hidden(o.to + o.from[i]) {
			return 0, fmt.Errorf("%s would be hidden as a whole", path.Join(o.to, o.from[i]))
		}
	}
	files, err := scan(o.from, o.to, o.limit, o.sizeLimit)
	if err != nil {
		return 0, err
	}
	c := newClient(o.endpoint, o.writers+2)
	defer c.http.CloseIdleConnections()
	if err := refuseExisting(c, o.to); err != nil {
		return 0, err
	}
	w, err := load(c, o, files, differ)
	if err != nil {
		return differences, err
	}
	begin := time.Now()
	tops := []string{""}
	if o.to != "" {
		tops = nil
		for _, root := range o.from {
			tops = append(tops, path.Join(o.to, root))
		}
	}
	nodes, err := readBack(c, w.files, tops, o.writers, differ)
	if err != nil {
		return differences, err
	}
	fmt.Fprintf(out, "realfiles: %d keys (%d hidden, %d not UTF-8), %.1f MB loaded in %.1f s (%.0f keys/s); "+
		"%d changes watched by a stream (resumed %d times) and a long-poll; "+
		"%d listed and %d single reads compared in %.1f s; %d differences\n",
		len(w.files), w.hidden, w.binary, float64(w.bytes)/1e6, w.took.Seconds(), float64(len(w.files))/w.took.Seconds(),
		w.changes, w.resumed, nodes, len(w.files), time.Since(begin).Seconds(), differences)
	return differences, nil
}

// refuseExisting prevents a load from mixing with existing keys.
func refuseExisting(c *client, to string) error {
	if to == "" {
		root, err := c.do(http.MethodGet, "", "", nil, http.StatusOK)
		if err == nil && len(root.Node.Nodes) > 0 {
			err = errors.New("the server must be empty to load the whole tree")
		}
		return err
	}
	if _, err := c.do(http.MethodGet, to, "", nil, http.StatusNotFound); err != nil {
		return fmt.Errorf("%s must not exist yet; choose another --to, or delete it with ?recursive=true: %w", to, err)
	}
	return nil
}

// work is the result of load.
type work struct {
	files   []loaded
	hidden  int
	binary  int64
	bytes   int64
	changes int
	resumed int
	took    time.Duration
}

// load writes all files and disturbs some, while the watchers look on.
func load(c *client, o options, files []file, differ func(string, ...any)) (work, error) {
	first, err := c.do(http.MethodPut, "/realfiles-was-here", "", []byte(o.to), http.StatusOK, http.StatusCreated)
	if err != nil {
		return work{}, err
	}
	if o.to == "" { // it is in the way
		if first, err = c.do(http.MethodDelete, "/realfiles-was-here", "", nil, http.StatusOK); err != nil {
			return work{}, err
		}
	}
	ledger := newLedger(2)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watchers, err := look(ctx, &watching, c, ledger, first.Node.Modified, o)
	if err != nil {
		return work{}, err
	}
	l := &loader{client: c, ledger: ledger}
	w, err := l.load(o, files)
	if err != nil {
		return w, err
	}
	cancel()
	watching.Wait()
	for _, watcher := range watchers {
		watcher.check(ledger.changes, differ)
	}
	w.resumed = watchers[0].resumed
	w.bytes, w.binary, w.changes = l.bytes.Load(), l.binary.Load(), len(ledger.changes)
	for i := range files {
		if files[i].hidden {
			w.hidden++
		}
	}
	return w, nil
}

// look starts the watchers, and returns when the stream is under way.
func look(ctx context.Context, watching *sync.WaitGroup, c *client, ledger *ledger, after uint64, o options) ([]*watcher, error) {
	watchers := make([]*watcher, len(ledger.at))
	for i, name := range []string{"the stream", "the long-poll"} {
		ledger.at[i] = after
		watchers[i] = &watcher{client: c, ledger: ledger, id: i, name: name, scope: o.to, last: after, lenient: o.etcd}
	}
	opened := make(chan struct{})
	watching.Go(func() { watchers[0].stream(ctx, opened) })
	watching.Go(func() { watchers[1].poll(ctx) })
	select {
	case <-opened:
		return watchers, nil
	case <-time.After(answerLimit):
		return nil, fmt.Errorf("the stream's head did not arrive within %v", answerLimit)
	}
}

// load creates every file's key, then disturbs some of them.
func (l *loader) load(o options, files []file) (work, error) {
	w := work{files: make([]loaded, len(files))}
	begin := time.Now()
	err := each(len(files), o.writers, func(i int) (err error) {
		w.files[i], err = l.create(files[i])
		return err
	})
	if err != nil {
		return w, err
	}
	w.took = time.Since(begin)
	err = each(len(files)/o.disturb, o.writers, func(i int) error {
		return l.disturb(&w.files[i*o.disturb], i%3 == 0)
	})
	if err != nil {
		return w, err
	}
	// An event that is late or repeated arrives before that of a later change.
	return w, l.last(o.to)
}

// last makes two changes more, which leave nothing, and waits until both
// watchers have seen them.
func (l *loader) last(to string) error {
	f := file{key: to + "/realfiles-ends"}
	if _, err := l.write(f, "create", "prevExist=false", nil, http.StatusCreated); err != nil {
		return err
	}
	if _, err := l.write(f, "delete", "", nil, http.StatusOK); err != nil {
		return err
	}
	return l.ledger.wait(0)
}
