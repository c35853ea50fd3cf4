package compat

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"

	"pgregory.net/rapid"
)

// A fleet is the servers that get the same requests and must give the same
// answers, the reference first.
type fleet struct {
	t       rapid.TB
	sharded bool // one of them has several shards
	targets []*target
	asked   []string // the latest requests, for the message of a failure
}

// A target is one server of a fleet. Indexes are counted from base, its index at the
// start.
type target struct {
	server *peer.Server
	caller caller
	normal normaliser
	base   uint64
	ranks  *ranks           // of a server whose indexes have gaps; nil: they are the reference's
	before map[string]int64 // the statistics at the start
	tally  map[string]int64 // what the statistics must have counted since then
}

func newFleet(t *testing.T, kinds []peer.Kind, shards int) *fleet {
	f := &fleet{t: t, sharded: shards > 1}
	for _, kind := range kinds {
		s := peer.Start(t, kind, append(serverArgs("", kind), peer.Sharded(kind, shards)...)...)
		tg := &target{server: s, caller: caller{address: s.Address}, normal: newNormaliser(s)}
		h, _, err := tg.caller.do(request{method: "HEAD", target: "/v2/keys/"})
		if err != nil {
			t.Fatal(err)
		}
		if tg.base, err = strconv.ParseUint(h.get("X-Etcd-Index"), 10, 64); err != nil {
			t.Fatal(err)
		}
		if shards > 1 && kind.IsCopse() {
			tg.rank()
		}
		if tg.before, err = tg.caller.stats(); err != nil {
			t.Fatal(err)
		}
		tg.tally = map[string]int64{}
		f.targets = append(f.targets, tg)
	}
	return f
}

// rank compares the indexes from now on by their ranks.
func (tg *target) rank() {
	tg.ranks = &ranks{}
	tg.ranks.bind(fromStart, tg.base)
}

func (f *fleet) close() {
	for _, tg := range f.targets {
		tg.caller.close()
	}
}

// A reply is an answer with its indexes counted from the start.
type reply struct {
	head  head
	lines []string // status, headers
	body  string
	index uint64 // X-Etcd-Index, from the start
}

// ask sends a request to all and returns the reference's reply. Different
// ones end the test.
func (f *fleet) ask(r request) reply {
	f.t.Helper()
	f.note(r)
	var first reply
	for i, tg := range f.targets {
		f.settle(tg)
		h, body, err := tg.caller.do(tg.localise(r))
		if err != nil {
			f.t.Fatalf("%s: %v%s", tg.server.Kind, err, f.history())
		}
		if !strings.Contains(r.target, "sorted=true") {
			body = sortedListing(body)
		}
		got := tg.reply(h, body)
		tg.count(r.kind, h)
		if i == 0 {
			first = got
		} else {
			f.compare(r, first, got, tg)
		}
	}
	return first
}

// settle waits until the index of a server with several shards covers all that it
// has done, as etcd's does always: a listing of the root waits for that.
func (f *fleet) settle(tg *target) {
	f.t.Helper()
	if tg.ranks == nil {
		return
	}
	h, _, err := tg.caller.do(request{method: "HEAD", target: "/v2/keys/", header: []string{credentials(asAdmin)}})
	if err != nil {
		f.t.Fatalf("%s: %v%s", tg.server.Kind, err, f.history())
	}
	tg.count("gets", h)
}

// count records how the statistics should count an answer. A request that was refused
// for its form has the index 0, and isn't counted.
func (tg *target) count(kind string, h head) {
	switch {
	case kind == "" || h.get("X-Etcd-Index") == "0":
	case h.code() < 300:
		tg.tally[kind+"Success"]++
	default:
		tg.tally[kind+"Fail"]++
	}
}

// checkStats compares copse's statistics with its answers. etcd's can't serve as a
// reference: it counts some refusals as successes, and reads of its own.
func (f *fleet) checkStats() {
	f.t.Helper()
	for _, tg := range f.targets {
		if tg.server.Kind != peer.Copse {
			continue
		}
		after, err := tg.caller.stats()
		if err != nil {
			f.t.Fatal(err)
		}
		for name, n := range after {
			if got, want := n-tg.before[name], tg.tally[name]; got != want && name != "watchers" {
				f.t.Errorf("copse counts %d %s, answered %d", got, name, want)
			}
		}
	}
}

func (f *fleet) note(r request) {
	const limit = 30
	f.asked = append(f.asked, strings.TrimRight(short(fmt.Sprintf("%s %s %s %s", r.as, r.method, r.target, r.body)), " "))
	f.asked = f.asked[max(0, len(f.asked)-limit):]
}

func (f *fleet) history() string {
	return "\nafter, with @n@ for an index counted from the start:\n\t" + strings.Join(f.asked, "\n\t")
}

func (f *fleet) compare(r request, want, got reply, tg *target) {
	f.t.Helper()
	if tg.ranks != nil {
		got = tg.ranked(r, want, got)
	}
	if slices.Equal(want.lines, got.lines) && sameBody(want.body, got.body) {
		return
	}
	from := 0 // where the bodies start to differ, minus some context
	for from < min(len(want.body), len(got.body)) && want.body[from] == got.body[from] {
		from++
	}
	from = max(0, from-200)
	f.t.Fatalf("%s %s %s\n%s answers\n%s\n%s\nwant\n%s\n%s%s", r.method, short(r.target), short(r.body), tg.server.Kind,
		strings.Join(got.lines, "\n"), short(got.body[from:]), strings.Join(want.lines, "\n"), short(want.body[from:]), f.history())
}

// ranked puts the reference's indexes into a reply where they are of the same rank.
func (tg *target) ranked(r request, want, got reply) reply {
	text := func(p reply) string { return strings.Join(p.lines, "\n") + "\n" + p.body }
	changed := r.method != "GET" && r.method != "HEAD" && want.head.code() < 300
	all := strings.SplitN(tg.ranks.translate(text(want), text(got), changed), "\n", len(got.lines)+1)
	got.lines, got.body = all[:len(got.lines)], all[len(got.lines)]
	return got
}

// short truncates long text.
func short(s string) string {
	const limit = 500
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}

// Requests name an index as @n@, and the name of an in-order key as @@n@@,
// counted from the start.
var (
	indexName = regexp.MustCompile(`@(\d+)@`)
	queueName = regexp.MustCompile(`@@(\d+)@@`)
)

func (tg *target) localise(r request) request {
	local := func(format string) func(string) string {
		return func(s string) string {
			n, _ := strconv.ParseUint(strings.Trim(s, "@"), 10, 64)
			if tg.ranks != nil {
				return fmt.Sprintf(format, tg.ranks.local(n+fromStart))
			}
			return fmt.Sprintf(format, n+tg.base)
		}
	}
	r.target = queueName.ReplaceAllStringFunc(r.target, local("%020d"))
	r.target = indexName.ReplaceAllStringFunc(r.target, local("%d"))
	if r.as == "" && leaks(r) && !tg.server.Kind.IsCopse() {
		r.as = r.like
	}
	if r.as != "" {
		r.header = append(slices.Clip(r.header), tg.credentials(r.as))
	}
	return r
}

var (
	indexHeader = regexp.MustCompile(`^X-Etcd-Index: \d+`)
	queueKeys   = regexp.MustCompile(`/\d{20}`)
	causes      = regexp.MustCompile(`\[\d+ != \d+\]|\[\d+/\d+\]`)
	digits      = regexp.MustCompile(`\d+`)
)

// relative counts the indexes in an answer from the start. Some answers are
// megabytes: the patterns are for those that need them.
func (tg *target) relative(s string) string {
	s = tg.relativeFields(s)
	if strings.Contains(s, "/0000000") {
		s = queueKeys.ReplaceAllStringFunc(s, tg.shift)
	}
	if strings.Contains(s, `"cause":"[`) || strings.Contains(s, "has been cleared [") {
		s = causes.ReplaceAllStringFunc(s, tg.shift)
	}
	return s
}

// shift counts the indexes in a short text from the start.
func (tg *target) shift(s string) string {
	return digits.ReplaceAllStringFunc(s, func(d string) string {
		n, err := strconv.ParseUint(d, 10, 64)
		if err != nil || n == 0 {
			return d
		}
		return fmt.Sprintf("@%d@", int64(n)-int64(tg.base))
	})
}

// relativeFields shifts the fields modifiedIndex, createdIndex and index. A
// value can't hold this text: JSON escapes its quote.
func (tg *target) relativeFields(s string) string {
	const field = `ndex":`
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, field)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexAny(after, ",}")
		if end < 0 {
			end = len(after)
		}
		b.WriteString(field + tg.shift(after[:end]))
		s = after[end:]
	}
}

func (tg *target) reply(h head, body string) reply {
	lines := append([]string{h.status}, tg.normal.headers(h, false)...)
	if tg.ranks != nil {
		return reply{head: h, lines: lines, body: body}
	}
	for i := range lines {
		lines[i] = indexHeader.ReplaceAllStringFunc(lines[i], tg.shift)
	}
	n, _ := strconv.ParseUint(h.get("X-Etcd-Index"), 10, 64)
	return reply{head: h, lines: lines, body: tg.relative(body), index: n - min(n, tg.base)}
}

var rawExpiration = regexp.MustCompile(`"expiration":"([^"]*)"(?:,"ttl":(-?\d+))?`)

// sameBody compares two bodies. The servers got the request one after the
// other, so expirations and the remaining ttl differ a little.
func sameBody(want, got string) bool {
	const slack = 3 * time.Second
	if want == got {
		return true
	}
	if rawExpiration.ReplaceAllString(want, "") != rawExpiration.ReplaceAllString(got, "") {
		return false
	}
	wants, gots := rawExpiration.FindAllStringSubmatch(want, -1), rawExpiration.FindAllStringSubmatch(got, -1)
	for i := range wants {
		w, err1 := time.Parse(time.RFC3339Nano, wants[i][1])
		g, err2 := time.Parse(time.RFC3339Nano, gots[i][1])
		wantTTL, _ := strconv.ParseFloat(wants[i][2], 64)
		gotTTL, _ := strconv.ParseFloat(gots[i][2], 64)
		switch {
		case err1 != nil || err2 != nil || g.UTC().Format(time.RFC3339Nano) != gots[i][1],
			w.Sub(g).Abs() > slack,
			math.Abs(wantTTL-gotTTL) > slack.Seconds(),
			gots[i][2] == "0":
			return false
		}
	}
	return true
}
