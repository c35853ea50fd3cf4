package treecompat

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"copse/statemachine/tree"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

var ops = flag.Int("ops", 100_000, "how many random operations to try at least")

func TestMain(m *testing.M) {
	// Long runs fill the window and let things expire; the command line may
	// still set another length.
	if err := flag.Set("rapid.steps", "120"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// pair has both sides at the same point of the same history.
type pair struct {
	etcd    *etcd
	copse   *copse
	now     int64
	ttls    int64 // expirations given out, to make each of them differ
	watches []*pairWatch
	done    *int // operations so far
}

// pairWatch is one watch, registered on both sides.
type pairWatch struct {
	watch *tree.Watch
	etcd  *etcdWatch
	copse *watcher
}

var (
	names = []string{"a", "b", "ab", "_h", "c<&>", "ü\u2028\xff"}
	keys  = rapid.Custom(func(t *rapid.T) string {
		key := ""
		for range rapid.SampledFrom([]int{0, 1, 1, 1, 2, 2, 2, 3, 3, 4}).Draw(t, "depth") {
			// Few names, some of them rare, so that keys recur.
			i := rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 1, 2, 3, 3, 4, 5}).Draw(t, "name")
			key += "/" + names[i]
		}
		if key == "" {
			return "/"
		}
		return key
	})
	values = rapid.SampledFrom([]string{"", "", "", "1", "2", "<tag> \n\x00\x7f\xc3", "\"quoted\\\""})
	writes = rapid.SampledFrom([]tree.Op{
		tree.OpSet, tree.OpSet, tree.OpSet, tree.OpSet, tree.OpCreate, tree.OpCreateInOrder, tree.OpUpdate, tree.OpUpdate,
		tree.OpCompareAndSwap, tree.OpCompareAndSwap, tree.OpDelete, tree.OpDelete, tree.OpCompareAndDelete,
	})
)

// key is any key, or one that exists: a file's or any.
func (p *pair) key(t *rapid.T) string {
	existing := p.copse.store.Below("/")
	switch rapid.SampledFrom([]string{"file", "any", "existing"}).Draw(t, "choice of key") {
	case "any":
		return keys.Draw(t, "key")
	case "file":
		existing = slices.DeleteFunc(existing, func(n tree.Node) bool { return n.Dir })
	}
	if len(existing) == 0 {
		return keys.Draw(t, "key")
	}
	return rapid.SampledFrom(existing).Draw(t, "key").Key
}

func oneIn(t *rapid.T, n int, label string) bool {
	return rapid.IntRange(1, n).Draw(t, label) == n
}

// write changes both sides and compares their answers.
func (p *pair) write(t *rapid.T) {
	c := tree.Command{
		Op:        writes.Draw(t, "op"),
		Key:       p.key(t),
		Value:     []byte(values.Draw(t, "value")),
		Dir:       oneIn(t, 5, "dir"),
		Recursive: oneIn(t, 3, "recursive"),
		Refresh:   oneIn(t, 6, "refresh"),
		Now:       p.now,
	}
	if oneIn(t, 3, "expires") {
		p.ttls++
		seconds := rapid.Int64Range(0, 6).Draw(t, "ttl")
		c.Expires = p.now + seconds*int64(time.Second) + p.ttls
	}
	if c.Op == tree.OpCompareAndSwap || c.Op == tree.OpCompareAndDelete {
		p.condition(t, &c)
	}
	p.compare(t, fmt.Sprintf("%+v", c), p.copse.do(c), p.etcd.do(c))
}

// condition makes one that is sometimes true.
func (p *pair) condition(t *rapid.T, c *tree.Command) {
	n, _ := p.copse.store.Get(c.Key)
	if !oneIn(t, 3, "no prevIndex") {
		c.PrevIndex = n.Modified + tree.Index(rapid.SampledFrom([]int{0, 0, 0, 0, 1}).Draw(t, "prevIndex"))
	}
	if !oneIn(t, 3, "no prevValue") {
		c.PrevValue = string(n.Value)
		if oneIn(t, 5, "other prevValue") {
			c.PrevValue = values.Draw(t, "prevValue")
		}
	}
}

func (p *pair) get(t *rapid.T) {
	key, recursive := p.key(t), rapid.Bool().Draw(t, "recursive")
	p.compare(t, "get "+key, p.copse.get(key, recursive, p.now), p.etcd.get(key, recursive))
}

// pass lets time pass, and removes the nodes that are due.
func (p *pair) pass(t *rapid.T) {
	step := rapid.Int64Range(0, 3e9).Draw(t, "time")
	p.now += step
	p.etcd.store.Clock.Advance(time.Duration(step))
	p.etcd.store.DeleteExpiredKeys(time.Unix(0, p.now))
	p.copse.expire(p.now, rapid.IntRange(1, 3).Draw(t, "limit"))
}

// wait starts a watch.
func (p *pair) wait(t *rapid.T) {
	pw := &pairWatch{copse: &watcher{}}
	pw.watch = &tree.Watch{
		Key:       p.key(t),
		Recursive: rapid.Bool().Draw(t, "recursive"),
		Stream:    oneIn(t, 3, "stream"),
		Since:     p.copse.last + 1,
		Sink:      pw.copse,
	}
	switch rapid.IntRange(0, 3).Draw(t, "since") {
	case 0:
		pw.watch.Since = tree.Index(rapid.Uint64Range(1, uint64(p.copse.last)+1).Draw(t, "past"))
	case 1:
		pw.watch.Since += tree.Index(rapid.Uint64Range(0, 5).Draw(t, "future"))
	}
	got := ""
	if err := p.copse.hub.Watch(pw.watch); err != nil {
		got = string(tree.AppendError(nil, err))
	}
	want := ""
	var err error
	if pw.etcd, err = p.etcd.watch(pw.watch); err != nil {
		want = print(nil, err)
	} else {
		p.watches = append(p.watches, pw)
	}
	p.compare(t, fmt.Sprintf("watch %+v", *pw.watch), got, want)
}

// leave ends a watch.
func (p *pair) leave(t *rapid.T) {
	if len(p.watches) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.watches)-1).Draw(t, "watch")
	p.copse.hub.Unwatch(p.watches[i].watch)
	p.watches[i].etcd.watcher.Remove()
	p.watches = slices.Delete(p.watches, i, i+1)
}

func (p *pair) compare(t *rapid.T, what, got, want string) {
	*p.done++
	if got != want {
		t.Fatalf("%s\n got %s\nwant %s", what, got, want)
	}
}

// check compares everything that can be observed at any time.
func (p *pair) check(t *rapid.T) {
	synctest.Wait()
	if got, want := uint64(p.copse.last), p.etcd.store.Index(); got != want {
		t.Fatalf("index: got %d, want %d", got, want)
	}
	for _, pw := range p.watches {
		if got, want := pw.copse.take(), pw.etcd.take(); !slices.Equal(got, want) || pw.copse.ends != 0 {
			t.Fatalf("watch %+v\n got %q and %d ends\nwant %q", *pw.watch, got, pw.copse.ends, want)
		}
	}
	want := p.etcd.statistics()
	for name, got := range counters(p.copse.stats) {
		if got != want[name] {
			t.Fatalf("statistics: %s: got %d, want %d", name, got, want[name])
		}
	}
	if got := p.copse.hub.Watchers(); got != want["watchers"] {
		t.Fatalf("statistics: watchers: got %d, want %d", got, want["watchers"])
	}
}

// counters are those that the tree counts, by v2's names.
func counters(s tree.Stats) map[string]int {
	return map[string]int{
		"setsSuccess": int(s.SetsSuccess), "setsFail": int(s.SetsFail),
		"deleteSuccess": int(s.DeleteSuccess), "deleteFail": int(s.DeleteFail),
		"updateSuccess": int(s.UpdateSuccess), "updateFail": int(s.UpdateFail),
		"createSuccess": int(s.CreateSuccess), "createFail": int(s.CreateFail),
		"compareAndSwapSuccess": int(s.CompareAndSwapSuccess), "compareAndSwapFail": int(s.CompareAndSwapFail),
		"compareAndDeleteSuccess": int(s.CompareAndDeleteSuccess), "compareAndDeleteFail": int(s.CompareAndDeleteFail),
		"expireCount": int(s.ExpireCount),
	}
}

// inBubble hides the *testing.T from rapid, because its deadline must not be read
// inside a synctest bubble.
type inBubble struct{ *testing.T }

// The bubble lets check know when the hub has processed everything.
func TestTreeAndWatchesEqualEtcd(t *testing.T) {
	done := 0
	for done < *ops {
		synctest.Test(t, func(t *testing.T) {
			rapid.Check(inBubble{t}, func(rt *rapid.T) {
				now := int64(1_790_000_000_123_456_789)
				window := rapid.SampledFrom([]int{3, 10, 50, 1000}).Draw(rt, "window")
				p := &pair{
					etcd:  newEtcd(window, now),
					copse: newCopse(window, rapid.SampledFrom([]int{1, 4, 0}).Draw(rt, "ring")),
					now:   now,
					done:  &done,
				}
				defer p.copse.stop(t)
				write := p.write
				rt.Repeat(map[string]func(*rapid.T){
					"write1": write, "write2": write, "write3": write, "write4": write, "write5": write,
					"get": p.get, "pass": p.pass, "wait1": p.wait, "wait2": p.wait, "leave": p.leave,
					"": p.check,
				})
				p.compare(rt, "in the end", p.copse.get("/", true, p.now), p.etcd.get("/", true))
			})
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d operations", done)
}
