package compat

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ranks compare the indexes of a server with several shards, which have gaps, with
// etcd's. Both number the same changes, so the order is the same, and no
// index of one corresponds to two of the other. A pair is learned from the first answer
// that shows it, and applies to all later ones.
type ranks struct {
	etcd, ours []uint64 // of one change each, both ascending
}

// beyond isn't an index but a number for a time that is never reached.
const beyond = 1 << 40

// bind says whether two indexes may be of the same change, and keeps to it.
func (r *ranks) bind(etcd, ours uint64) bool {
	i, known := slices.BinarySearch(r.etcd, etcd)
	j, taken := slices.BinarySearch(r.ours, ours)
	if known || taken {
		return known && taken && i == j
	}
	if i != j || etcd == 0 || ours == 0 {
		return etcd == 0 && ours == 0
	}
	r.etcd, r.ours = slices.Insert(r.etcd, i, etcd), slices.Insert(r.ours, j, ours)
	return true
}

// covers says whether two indexes, which need not be a change's, have the same
// changes behind them.
func (r *ranks) covers(etcd, ours uint64) bool {
	behind := func(list []uint64, index uint64) int {
		n, found := slices.BinarySearch(list, index)
		if found {
			n++
		}
		return n
	}
	return (etcd == 0) == (ours == 0) && behind(r.etcd, etcd) == behind(r.ours, ours)
}

// local is ours for an index of etcd's that a request names. One that no answer
// has shown is as far behind the last known one, but before the next.
func (r *ranks) local(etcd uint64) uint64 {
	i, known := slices.BinarySearch(r.etcd, etcd)
	switch {
	case known:
		return r.ours[i]
	case i == 0 || etcd >= beyond:
		return etcd
	}
	guess := r.ours[i-1] + etcd - r.etcd[i-1]
	if i < len(r.ours) {
		guess = min(guess, r.ours[i]-1)
	}
	return guess
}

// The forms of an index in an answer: a number, or one counted from the start.
const (
	indexForm = `(@?-?\d+@?)`
	queueForm = `(\d{20}|@-?\d+@)`
)

// The places where answers, and etcdctl's output, show indexes. In this order:
// those of a change (the first exactForms), an answer's header, and
// those that need not belong to a change; the last but one is the start of a window,
// which differs with several shards.
var indexPlaces = regexp.MustCompile(`(?m)` + strings.Join([]string{
	`(?:modifiedIndex|createdIndex)":` + indexForm,
	`(?:Created|Modified)-Index: ` + indexForm + `$`,
	`MODIFIED_INDEX=` + indexForm + `$`,
	`/` + queueForm,
	`^X-Etcd-Index: ` + indexForm + `$`,
	`"index":` + indexForm,
	`^Index: ` + indexForm + `$`,
	` \[` + indexForm + `\]$`,
	`\[` + indexForm + ` != ` + indexForm + `\]`,
	`\[` + indexForm + `/` + indexForm + `\]`,
}, "|"))

const (
	exactForms  = 4
	headerForm  = 5
	comparedFor = 10 // the value found by a comparison
	windowForm  = 11
)

// place is one such place in a text.
type place struct{ form, begin, end int }

func places(text string) (list []place) {
	for _, m := range indexPlaces.FindAllStringSubmatchIndex(text, -1) {
		for form := 1; 2*form < len(m); form++ {
			if m[2*form] >= 0 {
				list = append(list, place{form, m[2*form], m[2*form+1]})
			}
		}
	}
	return list
}

// translate replaces the indexes in an answer of ours by etcd's, those in want, if they
// have the same rank; others stay, and show as a difference. changed says
// that the answer is that of a change, so that its header belongs to one.
func (r *ranks) translate(want, got string, changed bool) string {
	wants, gots := places(want), places(got)
	if len(wants) != len(gots) {
		return got
	}
	alike := make([]bool, len(gots))
	for pass := range 2 { // indexes of changes first
		for i, p := range gots {
			exact := p.form <= exactForms || p.form == comparedFor || p.form == headerForm && changed
			if p.form != wants[i].form || exact != (pass == 0) {
				continue
			}
			etcd, ours := number(want[wants[i].begin:wants[i].end]), number(got[p.begin:p.end])
			if exact {
				alike[i] = r.bind(etcd, ours)
			} else {
				alike[i] = p.form == windowForm || r.covers(etcd, ours)
			}
		}
	}
	var b strings.Builder
	from := 0
	for i, p := range gots {
		if alike[i] {
			b.WriteString(got[from:p.begin] + want[wants[i].begin:wants[i].end])
			from = p.end
		}
	}
	return b.String() + got[from:]
}

// number parses an index. One counted from the start is increased by one, so that the
// start itself isn't 0, which means none.
func number(s string) uint64 {
	text, counted := strings.CutPrefix(s, "@")
	n, _ := strconv.ParseInt(strings.TrimSuffix(text, "@"), 10, 64)
	if counted {
		return uint64(n + fromStart)
	}
	return uint64(n)
}

// fromStart marks indexes that are counted from the start.
const fromStart = 1000

var namedIndexes = regexp.MustCompile(`((?:wait|prev)Index=|-index )(\d+)|/(\d{20})\b`)

// request puts our indexes into a request that names etcd's.
func (r *ranks) request(text string) string {
	return namedIndexes.ReplaceAllStringFunc(text, func(s string) string {
		m := namedIndexes.FindStringSubmatch(s)
		if m[3] != "" {
			n, _ := strconv.ParseUint(m[3], 10, 64)
			return fmt.Sprintf("/%020d", r.local(n))
		}
		n, err := strconv.ParseUint(m[2], 10, 64)
		if err != nil {
			return s
		}
		if r.local(n) == n {
			return s // as it was written
		}
		return m[1] + strconv.FormatUint(r.local(n), 10)
	})
}

func TestRanks(t *testing.T) {
	r := &ranks{}
	if !r.bind(3, 3) {
		t.Fatal("the start")
	}
	for _, step := range []struct {
		want, got string
		changed   bool
		same      bool
	}{
		{`X-Etcd-Index: 4` + "\n" + `{"modifiedIndex":4,"createdIndex":4}`, `X-Etcd-Index: 5` + "\n" + `{"modifiedIndex":5,"createdIndex":5}`, true, true},
		{`X-Etcd-Index: 5`, `X-Etcd-Index: 9`, true, true},   // a change without a body
		{`X-Etcd-Index: 5`, `X-Etcd-Index: 11`, false, true}, // two were lost
		{`X-Etcd-Index: 5`, `X-Etcd-Index: 8`, false, false}, // below an index that was shown
		{`"key":"/q/00000000000000000006","modifiedIndex":6`, `"key":"/q/00000000000000000014","modifiedIndex":14`, true, true},
		{`"modifiedIndex":8`, `"modifiedIndex":12`, true, false},                                    // out of order
		{`"modifiedIndex":6,"createdIndex":4`, `"modifiedIndex":14,"createdIndex":9`, false, false}, // another's
		{`"cause":"[4 != 6]","index":6}`, `"cause":"[5 != 14]","index":17}`, false, true},
		{`"cause":"[4 != 6]","index":6}`, `"cause":"[5 != 9]","index":17}`, false, false},
		{`X-Etcd-Index: 0`, `X-Etcd-Index: 0`, false, true},
		{`X-Etcd-Index: 0`, `X-Etcd-Index: 17`, false, false},
		{`Error:  100: Key not found (/missing) [6]`, `Error:  100: Key not found (/missing) [20]`, false, true},
		{"Modified-Index: 6\nIndex: 6\n", "Modified-Index: 14\nIndex: 16\n", false, true},
		{`"cause":"the requested history has been cleared [3/2]","index":6`, `"cause":"the requested history has been cleared [9/2]","index":14`, false, true},
		{`"key":"/q/00000000000000000007","modifiedIndex":7`, `"key":"/q/00000000000000000015","modifiedIndex":16`, true, false}, // another name
		{`{"action":"get"}`, `{"action":"get","modifiedIndex":5}`, false, false},
	} {
		if got := r.translate(step.want, step.got, step.changed); (got == step.want) != step.same {
			t.Errorf("%q against %q: got %q", step.got, step.want, got)
		}
	}
	for etcd, want := range map[uint64]uint64{1: 1, 3: 3, 4: 5, 5: 9, 6: 14, 7: 15, 9: 17, 1 << 63: 1 << 63} {
		if got := r.local(etcd); got != want {
			t.Errorf("%d: got %d, want %d", etcd, got, want)
		}
	}
	asked := "/q/00000000000000000006?waitIndex=5&prevIndex=4&wait=true"
	if got, want := r.request(asked), "/q/00000000000000000014?waitIndex=9&prevIndex=5&wait=true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
