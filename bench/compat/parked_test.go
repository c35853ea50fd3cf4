package compat

import (
	"fmt"
	"strings"
	"time"
)

// A parked watch waits on every server of a fleet.
type parked struct {
	request
	key       string
	recursive bool
	stream    bool
	from      uint64 // waitIndex, from the start; 0: none
	opened    uint64 // where the tree stood
	wires     []*wire
}

// park opens a watch on all servers. One that is refused is compared and done.
func (f *fleet) park(p *parked) (waits bool) {
	f.t.Helper()
	f.note(p.request)
	var first reply
	for i, tg := range f.targets {
		w, err := dial(tg.server.Address)
		if err != nil {
			f.t.Fatal(err)
		}
		p.wires = append(p.wires, w)
		got := f.open(tg, w, p)
		switch {
		case i == 0:
			first = got
		case tg.ranks != nil && got.head.code() == 200 && strings.Contains(first.body, `"errorCode":401`):
			// "shards-window": each shard keeps its own past, which is longer.
		default:
			f.compare(p.request, first, got, tg)
		}
	}
	p.opened = first.index
	if first.head.code() != 200 {
		p.close()
		return false
	}
	return true
}

// open sends the request and reads the immediate part of the answer: the head, or all
// of a refusal.
func (f *fleet) open(tg *target, w *wire, p *parked) reply {
	f.t.Helper()
	f.settle(tg)
	r := tg.localise(p.request)
	if err := w.send(r.bytes(tg.server.Address)); err != nil {
		f.t.Fatal(err)
	}
	h, err := w.readHead()
	body := ""
	if err == nil && h.code() != 200 {
		body, err = w.readBody(r.method, h)
	}
	if err != nil {
		f.t.Fatalf("%s: %s: %v%s", tg.server.Kind, p.target, err, f.history())
	}
	return tg.reply(h, body)
}

func (p *parked) close() {
	for _, w := range p.wires {
		w.close()
	}
}

// collect makes sure that the watch has something to deliver, and compares
// the events. It can't observe that nothing arrives, but it can observe that the
// first event is the same.
func (f *fleet) collect(p *parked) {
	f.t.Helper()
	defer p.close()
	last := f.provoke(p)
	var want []string
	for i, tg := range f.targets {
		got := f.deliveries(tg, p.wires[i], p, last)
		if i == 0 {
			want = got
			continue
		}
		if tolerated(p, want[0]) {
			continue
		}
		for j := range max(len(want), len(got)) {
			w, g := at(want, j), at(got, j)
			if tg.ranks != nil {
				g = tg.ranks.translate(w, g, false)
			}
			if !sameBody(w, g) {
				f.t.Fatalf("%s, opened at @%d@\n%s delivers as number %d\n%s\nwant\n%s%s",
					p.target, p.opened, tg.server.Kind, j, g, w, f.history())
			}
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// deliveries reads the one event of a long-poll, or those of a stream up to
// the one with the index last. etcd sends a removal to a stream twice.
func (f *fleet) deliveries(tg *target, w *wire, p *parked, last uint64) (events []string) {
	f.t.Helper()
	if err := w.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		f.t.Fatal(err)
	}
	end := fmt.Sprintf(`"modifiedIndex":@%d@,`, last)
	if tg.ranks != nil {
		end = fmt.Sprintf(`"modifiedIndex":%d,`, tg.ranks.local(last+fromStart))
	}
	for {
		event, err := w.readChunk()
		if err != nil {
			f.t.Fatalf("%s: %s, opened at @%d@: %v after %q%s", tg.server.Kind, p.target, p.opened, err, events, f.history())
		}
		if tg.ranks == nil {
			event = tg.relative(event)
		}
		if len(events) == 0 || event != events[len(events)-1] {
			events = append(events, event)
		}
		if !p.stream {
			break
		}
		if strings.Contains(event, end) {
			return events
		}
	}
	if end, err := w.readChunk(); err != nil || end != "" {
		f.t.Fatalf("%s: %s continues after its event: %q, %v%s", tg.server.Kind, p.target, end, err, f.history())
	}
	return events
}

// provoke changes the watched key, as often as it takes to reach the index
// that the watch starts from, and returns the last change's index.
func (f *fleet) provoke(p *parked) (last uint64) {
	f.t.Helper()
	for {
		last = f.touch(p.key)
		if last >= p.from {
			return last
		}
	}
}

// touch makes an event on exactly the key.
func (f *fleet) touch(key string) uint64 {
	f.t.Helper()
	if key == "/" {
		return f.ask(request{kind: "sets", method: "PUT", target: "/v2/keys/touched"}).index
	}
	const limit = 10 // more files in the way than a path is long
	for range limit {
		for _, r := range []request{
			{kind: "delete", method: "DELETE", target: "/v2/keys" + key + "?recursive=true"},
			{kind: "sets", method: "PUT", target: "/v2/keys" + key, body: "value=touched"},
		} {
			got := f.ask(r)
			if got.head.code() < 300 {
				return got.index
			}
			if v, _, err := parseJSON(got.body); err == nil && v.field("errorCode").raw == "104" {
				f.ask(request{kind: "delete", method: "DELETE", target: "/v2/keys" + escapePath(v.field("cause").text())})
			}
		}
	}
	f.t.Fatalf("%s can't be changed%s", key, f.history())
	return 0
}

// tolerated reports whether etcd's history gave an event that a live watch
// would not have: the difference "history-obeys-live-rules".
func tolerated(p *parked, event string) bool {
	v, _, err := parseJSON(event)
	if err != nil || p.from == 0 {
		return false
	}
	key := escapePath(v.field("node").field("key").text())
	watched := strings.TrimSuffix(p.key, "/")
	below, isBelow := strings.CutPrefix(key, watched)
	isBelow = isBelow && (below == "" || below[0] == '/')
	above, isAbove := strings.CutPrefix(watched, key)
	isAbove = isAbove && above != "" && above[0] == '/'
	if isBelow {
		return strings.Contains(below, "/_")
	}
	return !isAbove
}
