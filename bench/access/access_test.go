package access

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/bench/v2api"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	// The command line may set another number of runs.
	if err := flag.Set("rapid.checks", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// TestNobodyIsShownWhatIsForbidden is the package's one test; doc.go describes it.
func TestNobodyIsShownWhatIsForbidden(t *testing.T) {
	list := startCluster(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * members}}
	t.Cleanup(client.CloseIdleConnections)
	w := &world{members: list, client: client}
	w.found(t)
	tally := map[int]int{}
	rapid.Check(t, func(rt *rapid.T) { w.check(rt, tally) })
	t.Logf("answers by status: %v", tally)
	if tally[http.StatusOK] == 0 || tally[http.StatusUnauthorized] == 0 {
		t.Error("nothing was shown, or nothing refused")
	}
}

// A world is the cluster, and all states that its auth has been in.
type world struct {
	members []*member
	client  *http.Client
	number  int // of the marks

	lock    sync.Mutex
	history []state // the last one may be on its way
}

// states are those from that number on.
func (w *world) states(from int) []state {
	w.lock.Lock()
	defer w.lock.Unlock()
	return slices.Clone(w.history[from:])
}

func (w *world) latest() state {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.history[len(w.history)-1]
}

// found makes the users and the keys, and enables auth.
func (w *world) found(t *testing.T) {
	t.Helper()
	s := initial()
	w.must(t, w.members[0], "PUT", "/v2/auth/users/root", object("user", root, "password", s.passwords[root]))
	for _, name := range userNames {
		w.must(t, w.members[0], "PUT", "/v2/auth/users/"+name, object("user", name, "password", s.passwords[name], "roles", []string{}))
	}
	w.must(t, w.members[0], "PUT", "/v2/auth/roles/mark", object("role", "mark"))
	w.must(t, w.members[0], "PUT", "/v2/auth/roles/guest", object("role", guest))
	w.must(t, w.members[0], "PUT", "/v2/auth/enable", "")
	for _, key := range []string{"/d/a", "/d/b", "/d/_h", "/e", "/f/g"} {
		w.must(t, w.members[0], "PUT", "/v2/keys"+key, "value=secret")
	}
}

// must sends a request as root, again while the cluster has no leader.
func (w *world) must(t tb, m *member, method, path, body string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		status, text, err := m.ask(w.client, root, "pw", method, path, body)
		if err == nil && status < http.StatusMultipleChoices {
			return
		}
		if time.Now().After(deadline) || err == nil && status < http.StatusInternalServerError {
			t.Fatalf("%s: %s %s %s: %d %s %v", m.Name, method, path, body, status, text, err)
		}
	}
}

// reset brings users and roles into the state that runs start from, at all members.
func (w *world) reset(t tb) {
	t.Helper()
	first, s := w.members[0], initial()
	for _, name := range roleNames {
		_, _, _ = first.ask(w.client, root, "pw", "DELETE", "/v2/auth/roles/"+name, "") // it need not be there
		permissions := map[string]any{"kv": map[string]any{"read": s.roles[name].read, "write": s.roles[name].write}}
		w.must(t, first, "PUT", "/v2/auth/roles/"+name, object("role", name, "permissions", permissions))
	}
	for _, name := range userNames {
		_, _, _ = first.ask(w.client, root, "pw", "DELETE", "/v2/auth/users/"+name, "")
		w.must(t, first, "PUT", "/v2/auth/users/"+name, object("user", name, "password", s.passwords[name], "roles", s.users[name]))
	}
	w.lock.Lock()
	w.history = []state{s}
	w.lock.Unlock()
	w.mark(t, first)
	for _, m := range w.members {
		w.awaitMark(t, m)
	}
}

// mark makes a change that members can be seen to have applied, and all before it.
func (w *world) mark(t tb, m *member) {
	t.Helper()
	w.number++
	w.must(t, m, "PUT", "/v2/auth/roles/mark", object("role", "mark", "grant", map[string]any{"kv": map[string]any{"read": []string{w.marked()}}}))
	if w.number > 1 {
		w.must(t, m, "PUT", "/v2/auth/roles/mark", object("role", "mark", "revoke", map[string]any{"kv": map[string]any{"read": []string{fmt.Sprint("/mark", w.number-1)}}}))
	}
}

func (w *world) marked() string { return fmt.Sprint("/mark", w.number) }

// awaitMark waits until a member has applied the latest mark, and notes what it knows.
func (w *world) awaitMark(t tb, m *member) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		status, text, err := m.ask(w.client, root, "pw", "GET", "/v2/auth/roles/mark", "")
		if err == nil && status == http.StatusOK && strings.Contains(text, `"`+w.marked()+`"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not apply what it should: %d %s %v", m.Name, status, text, err)
		}
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	m.known.Store(int64(len(w.history) - 1))
}

// check is one run: changes, restarts, and streams, while readers read.
func (w *world) check(t *rapid.T, tally map[int]int) {
	for _, m := range w.members {
		m.known.Store(0)
	}
	w.reset(t)
	stop, ended := make(chan struct{}), make(chan error, members)
	var readers []*reader
	seed := rapid.Uint64().Draw(t, "seed of the readers")
	for i, m := range w.members {
		r := &reader{w, m, rand.New(rand.NewPCG(seed, uint64(i))), w.client, map[int]int{}}
		readers = append(readers, r)
		go func() { ended <- r.run(stop) }()
	}
	defer func() { // first, since Fatalf leaves here too
		close(stop)
		for range readers {
			if err := <-ended; err != nil {
				t.Errorf("%v", err)
			}
		}
		for _, r := range readers {
			for status, n := range r.tally {
				tally[status] += n
			}
		}
	}()
	w.drive(t)
}

// drive makes the changes, and checks the streams after each.
func (w *world) drive(t *rapid.T) {
	var streams []*stream
	defer func() {
		for _, s := range streams {
			s.close()
		}
	}()
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		who := rapid.SampledFrom(append([]string{guest}, userNames...)).Draw(t, "watcher")
		at := rapid.IntRange(0, members-1).Draw(t, "at")
		s := w.openStream(t, w.members[at], who, rapid.SampledFrom([]string{"/", "/d", "/d/", "/e"}).Draw(t, "watched"), rapid.Bool().Draw(t, "recursive"))
		if s != nil {
			streams = append(streams, s)
		}
		at = rapid.IntRange(0, members-1).Draw(t, "by way of")
		next := nextChange(t, w.latest())
		w.lock.Lock()
		w.history = append(w.history, next.after)
		w.lock.Unlock()
		w.must(t, w.members[at], next.method, next.path, next.body)
		w.mark(t, w.members[at])
		for _, m := range w.members {
			w.awaitMark(t, m)
		}
		streams = w.checkStreams(t, streams)
		if rapid.IntRange(0, 9).Draw(t, "restart") == 9 {
			streams = w.restart(t, w.members[at], streams)
		}
	}
}

// restart stops a member and starts it again: if it leads, others take over.
func (w *world) restart(t *rapid.T, m *member, streams []*stream) []*stream {
	var left []*stream
	for _, s := range streams {
		if s.at == m {
			s.close()
		} else {
			left = append(left, s)
		}
	}
	m.known.Store(0)
	if err := m.Stop(); err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
	if err := m.Relaunch(); err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
	m.await(t, m.WaitServing) // and not for a write, which the guest may not make
	w.awaitMark(t, m)
	return left
}

// A stream is a watch that goes on, of one who may watch.
type stream struct {
	at                  *member
	who, password, path string
	recursive           bool
	cancel              context.CancelFunc
	events              *bufio.Scanner
	body                io.Closer
}

func (s *stream) close() {
	s.cancel()
	s.body.Close()
}

// openStream opens a stream if it is permitted, and checks that it is refused if not.
func (w *world) openStream(t *rapid.T, m *member, who, path string, recursive bool) *stream {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stream{at: m, who: who, password: w.latest().passwords[who], path: path, recursive: recursive, cancel: cancel}
	resp, err := m.open(ctx, w.client, who, s.password, "GET", fmt.Sprintf("/v2/keys%s?wait=true&stream=true&recursive=%v", path, recursive), "")
	if err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
	s.events, s.body = bufio.NewScanner(resp.Body), resp.Body
	if may := w.mayWatch(s); may != (resp.StatusCode == http.StatusOK) {
		t.Fatalf("%s answers %d to a stream of %s by %s, may: %v\n%+v", m.Name, resp.StatusCode, path, who, may, w.latest())
	}
	if resp.StatusCode != http.StatusOK {
		s.close()
		return nil
	}
	return s
}

func (w *world) mayWatch(s *stream) bool {
	return w.latest().may(s.who, s.password, false, s.path, s.recursive)
}

// checkStreams writes what each stream would deliver, after its member has applied the
// latest state, and returns the streams that go on. Whoever may not watch any more
// is not shown it: the stream ends.
//
// A new password doesn't end a stream: who opened it has proved who he is.
func (w *world) checkStreams(t *rapid.T, streams []*stream) (still []*stream) {
	for i, s := range streams {
		s.password = w.latest().passwords[s.who]
		value := fmt.Sprintf("%s-%d-%d", s.at.Name, w.number, i)
		key := strings.TrimSuffix(s.path, "/")
		file := key == "/e"
		if s.recursive && !file {
			key += "/probe"
		}
		if s.recursive || file {
			w.must(t, s.at, "PUT", "/v2/keys"+key, "value="+value)
		} else if w.mayWatch(s) {
			still = append(still, s)
			continue // nothing happens to a directory itself
		}
		shown, err := s.awaitValue(value)
		switch may := w.mayWatch(s); {
		case may != shown || err != nil:
			t.Fatalf("%s's stream of %s at %s, recursive %v: it may be shown %q: %v, was it: %v, %v\n%+v",
				s.who, s.path, s.at.Name, s.recursive, value, may, shown, err, w.latest())
		case may:
			still = append(still, s)
		default:
			s.close()
		}
	}
	return still
}

// awaitValue reads events until one with the value, or the end.
func (s *stream) awaitValue(value string) (bool, error) {
	limit := time.AfterFunc(patience, s.cancel)
	defer limit.Stop()
	for s.events.Scan() {
		var ev v2api.Event
		if err := json.Unmarshal(s.events.Bytes(), &ev); err != nil {
			return false, fmt.Errorf("%q: %w", s.events.Text(), err)
		}
		if ev.Node.Value == value {
			return true, nil
		}
	}
	if err := s.events.Err(); errors.Is(err, context.Canceled) {
		return false, errors.New("the stream neither delivers it nor ends")
	}
	return false, nil
}
