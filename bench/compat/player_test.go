package compat

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/bench/peer"
)

// A player plays scripts against one server.
type player struct {
	server  *peer.Server
	shards  int
	normal  normaliser
	caller  caller
	ranks   *ranks   // with several shards; nil: indexes are etcd's
	series  []uint64 // of the changes that the step has made
	watches map[string]*wire
	stats   map[string]int64 // the store's counts when they were last shown

	added    int          // members, so far
	newcomer *peer.Server // nil: none has joined
}

// founded is the index that a new cluster has.
const founded = 3

// newPlayer takes indexes by rank with several shards, which have gaps, and where
// auth changes, which takes indexes of etcd's alone.
func newPlayer(s *peer.Server, shards int, auth bool) *player {
	p := &player{
		shards:  shards,
		server:  s,
		normal:  newNormaliser(s),
		caller:  caller{address: s.Address},
		watches: map[string]*wire{},
	}
	if shards > 1 || auth && s.Kind.IsCopse() {
		p.ranks = &ranks{}
	}
	return p
}

// settle waits until the index of a server with several shards covers all that it
// has done, as etcd's does always: a listing of the root waits for that.
func (p *player) settle() error {
	if p.ranks == nil {
		return nil
	}
	h, _, err := p.caller.do(request{method: "HEAD", target: "/v2/keys/", header: []string{credentials("As: root:pw")}})
	if err == nil && p.ranks.etcd == nil {
		var index uint64
		if index, err = strconv.ParseUint(h.get("X-Etcd-Index"), 10, 64); err == nil {
			p.ranks.bind(founded, index)
		}
	}
	return err
}

// local writes a request as this server has to be sent it.
func (p *player) local(text string) string {
	text = p.normal.names.Replace(text)
	if p.ranks != nil {
		text = p.ranks.request(text)
	}
	return text
}

var writing = regexp.MustCompile(`\b(PUT|POST|DELETE) /v2/keys`)

// ranked puts the recorded indexes into an answer where they are of the same rank.
func (p *player) ranked(st *step, want, got []string) []string {
	if p.ranks == nil || len(got) == 0 {
		return got
	}
	changed := writing.MatchString(st.command) && strings.HasPrefix(got[0], "20")
	got = strings.Split(p.ranks.translate(strings.Join(want, "\n"), strings.Join(got, "\n"), changed), "\n")
	p.learnSeries(want)
	for i := range min(len(want), len(got)) {
		got[i] = ofLength(want[i], got[i])
	}
	return got
}

// learnSeries learns the indexes of repeated requests, of which only the last answer
// is recorded.
func (p *player) learnSeries(want []string) {
	for _, line := range want {
		text, found := strings.CutPrefix(line, "X-Etcd-Index: ")
		last, err := strconv.ParseUint(text, 10, 64)
		if !found || err != nil || last < uint64(len(p.series)) {
			continue
		}
		for i, index := range p.series {
			p.ranks.bind(last-uint64(len(p.series)-1-i), index)
		}
	}
	p.series = nil
}

// ofLength takes no offence at a body of indexes with some digits more.
func ofLength(want, got string) string {
	const header = "Content-Length: "
	w, err := strconv.Atoi(strings.TrimPrefix(want, header))
	g, err2 := strconv.Atoi(strings.TrimPrefix(got, header))
	if err == nil && err2 == nil && strings.HasPrefix(got, header) && g >= w && g <= w+w/8+8 {
		return want
	}
	return got
}

func (p *player) close() {
	p.caller.close()
	for _, w := range p.watches {
		w.close()
	}
	if p.newcomer != nil {
		_ = p.newcomer.Close() // an error here says nothing about the answers
	}
}

// play does one step and returns the answer, normalised. want is the one that
// is recorded, if any.
func (p *player) play(st *step, want *answer) ([]string, error) {
	verb, arg, _ := strings.Cut(st.command, " ")
	switch verb {
	case "watch":
		name, call, _ := strings.Cut(arg, " ")
		return p.watch(name, call, st.request)
	case "event", "rest":
		return p.event(arg, verb == "rest")
	case "quiet":
		return p.quiet(arg, want)
	case "stats":
		return p.counts()
	case "pipeline":
		name, call, _ := strings.Cut(arg, " ")
		return nil, p.pipeline(name, call, st.request)
	case "hangup":
		return p.hangup(arg)
	case "cancel":
		w, err := p.waiting(arg)
		if err == nil {
			w.close()
		}
		return nil, err
	case "repeat":
		count, call, _ := strings.Cut(arg, " ")
		n, err := strconv.Atoi(count)
		if err != nil {
			return nil, err
		}
		return p.repeat(call, st.request, func(head) bool { n--; return n <= 0 })
	case "until":
		code, call, _ := strings.Cut(arg, " ")
		deadline := time.Now().Add(answerLimit)
		met, want := 0, 1
		if strings.HasPrefix(call, "GET ") {
			want = 2 // in a row: the first answer may show a change under the index before it
		}
		return p.repeat(call, st.request, func(h head) bool {
			if met++; strconv.Itoa(h.code()) != code {
				met = 0
			}
			if met == want || time.Now().After(deadline) {
				return true
			}
			<-time.After(pollInterval)
			return false
		})
	case "sized":
		size, call, _ := strings.Cut(arg, " ")
		n, err := strconv.Atoi(size)
		if err != nil {
			return nil, err
		}
		const value = "value="
		lines := append(slices.Clone(st.request), bodyMark+value+strings.Repeat("x", n-len(value)))
		return p.repeat(call, lines, func(head) bool { return true })
	case "raw":
		return p.raw(st.request)
	case "join":
		return nil, p.join()
	case "restart":
		p.caller.close()
		if err := p.server.Stop(); err != nil {
			return nil, err
		}
		return nil, p.server.Restart()
	}
	return p.repeat(st.command, st.request, func(head) bool { return true })
}

// repeat sends a request until an answer is enough and shows that one.
func (p *player) repeat(call string, lines []string, enough func(head) bool) ([]string, error) {
	r, err := parseRequest(call, lines)
	if err != nil {
		return nil, err
	}
	if err := p.settle(); err != nil {
		return nil, err
	}
	r.target, r.body = p.local(r.target), p.local(r.body)
	for {
		h, body, err := p.caller.do(r)
		if err != nil {
			return nil, err
		}
		if p.ranks != nil && r.method != "GET" && h.code() < 300 && strings.HasPrefix(r.target, "/v2/keys") {
			index, _ := strconv.ParseUint(h.get("X-Etcd-Index"), 10, 64)
			p.series = append(p.series, index)
		}
		if !enough(h) {
			continue
		}
		if !strings.Contains(r.target, "sorted=true") {
			body = sortedListing(body)
		}
		if r.method == "POST" && h.code() == 201 {
			p.learn(body)
		}
		return p.show(h, body, r.method == "HEAD"), nil
	}
}

func (p *player) show(h head, body string, framing bool) []string {
	lines := append([]string{h.status}, p.normal.headers(h, framing)...)
	return append(lines, bodyLines(p.normal.text(body))...)
}

func (p *player) watch(name, call string, lines []string) ([]string, error) {
	r, err := parseRequest(call, lines)
	if err != nil {
		return nil, err
	}
	w, err := dial(p.server.Address)
	if err != nil {
		return nil, err
	}
	if old := p.watches[name]; old != nil {
		old.close()
	}
	p.watches[name] = w
	if err := p.settle(); err != nil {
		return nil, err
	}
	if p.ranks != nil {
		r.target = p.ranks.request(r.target)
	}
	if err := w.send(r.bytes(p.server.Address)); err != nil {
		return nil, err
	}
	h, err := w.readHead()
	return p.show(h, "", true), err
}

// waiting returns a watch that has been opened.
func (p *player) waiting(name string) (*wire, error) {
	if w := p.watches[name]; w != nil {
		return w, nil
	}
	return nil, fmt.Errorf("no watch %q", name)
}

// pipeline sends a request without waiting for the answer to the one before.
func (p *player) pipeline(name, call string, lines []string) error {
	w, err := p.waiting(name)
	if err != nil {
		return err
	}
	r, err := parseRequest(call, lines)
	if err != nil {
		return err
	}
	return w.send(r.bytes(p.server.Address))
}

// hangup closes our half of the connection, and shows how the server reacts.
func (p *player) hangup(name string) ([]string, error) {
	w, err := p.waiting(name)
	if err != nil {
		return nil, err
	}
	if err := w.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return nil, err
	}
	if err := w.conn.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(w.in)
	return append(bodyLines(string(rest)), "then: closed"), err
}

// event shows the next chunk of a watch; if it must be the last one, also what
// follows, and whether the connection serves another request.
func (p *player) event(name string, last bool) ([]string, error) {
	w, err := p.waiting(name)
	if err != nil {
		return nil, err
	}
	if err := w.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return nil, err
	}
	chunk, err := w.readChunk()
	if err != nil {
		return nil, err
	}
	lines := bodyLines(p.normal.text(chunk))
	if !last {
		return lines, nil
	}
	if chunk, err = w.readChunk(); err != nil {
		return nil, err
	}
	lines = append(lines, bodyLines(p.normal.text(chunk))...)
	return append(lines, "then: "+p.next(w)), nil
}

// quiet shows that no event arrives, or the event. The absence of an event can't be
// awaited: a timeout decides only about etcd's own faults, and
// where an event is expected the wait is long.
func (p *player) quiet(name string, want *answer) ([]string, error) {
	const quiet, patience = "quiet", 300 * time.Millisecond
	w, err := p.waiting(name)
	if err != nil {
		return nil, err
	}
	limit := patience
	if want != nil && !slices.Equal(want.lines, []string{quiet}) {
		limit = answerLimit
	}
	if err := w.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	if _, err := w.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
		return []string{quiet}, nil
	}
	return p.event(name, false)
}

// counts shows how the store's statistics have changed since the last time,
// or since the start. Reads are left out: etcd reads its auth flag with each
// request, and counts that too.
func (p *player) counts() ([]string, error) {
	stats, err := p.caller.stats()
	if err != nil {
		return nil, err
	}
	var lines []string
	for name, n := range stats {
		if d := n - p.stats[name]; d != 0 && !strings.HasPrefix(name, "gets") {
			lines = append(lines, fmt.Sprintf("%s %+d", name, d))
		}
	}
	p.stats = stats
	slices.Sort(lines)
	return lines, nil
}

// next describes the state of the connection after an answer.
func (p *player) next(w *wire) string {
	if err := w.send(request{method: "GET", target: "/version"}.bytes(p.server.Address)); err != nil {
		return "closed"
	}
	h, err := w.readHead()
	switch {
	case err == nil:
		return "keeps alive, " + h.status
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "neither answers nor closes"
	}
	return "closed"
}

// raw sends bytes as they are and shows the bytes of the answer, its headers
// in a fixed order.
func (p *player) raw(lines []string) ([]string, error) {
	text, err := bodyText(lines)
	if err != nil {
		return nil, err
	}
	w, err := dial(p.server.Address)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := p.settle(); err != nil {
		return nil, err
	}
	text = p.local(text)
	if err := w.send([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		return nil, err
	}
	var out []string
	for {
		w.seen.Reset()
		h, err := w.readHead()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return out, err
		}
		if err != nil {
			return append(out, "then: closed"), nil
		}
		headers := strings.Split(strings.TrimSuffix(w.seen.String(), "\r\n\r\n"), "\r\n")[1:]
		headers = slices.DeleteFunc(headers, func(line string) bool { return strings.HasPrefix(line, "ETag: ") }) // as in normaliser.headers
		for i := range headers {
			headers[i] = p.normal.headerText(headers[i])
		}
		slices.Sort(headers)
		out = append(append(out, h.proto+" "+h.status), headers...)
		w.seen.Reset()
		method, _, _ := strings.Cut(text, " ")
		if h.code() == 100 {
			out = append(out, bodyMark)
			continue
		}
		if _, err := w.readBody(method, h); err != nil {
			return out, err
		}
		out = append(out, bodyLines(p.normal.text(w.seen.String()))...)
		return append(out, "then: "+p.next(w)), nil
	}
}
