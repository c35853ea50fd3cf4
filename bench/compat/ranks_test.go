package compat

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ranks compare indexes of a server with several shards, which has gaps, with
// etcd's: the two number the same changes, so that the order is the same, and no
// index of one stands for two of the other. A pair is learnt from the first answer
// that shows it, and holds for all that come later.
type ranks struct {
	etcd, ours []uint64 // of one change each, both ascending
}

// beyond is no index, but a number that stands for a time that never comes.
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

// What stands for an index in an answer: a number, or one counted from the start.
const (
	indexForm = `(@?-?\d+@?)`
	queueForm = `(\d{20}|@-?\d+@)`
)

// The places where answers, and what etcdctl makes of them, show indexes. The
// groups are, in this order: a change's (the first exactForms), an answer's header,
// and what need not be a change's; the last but one is where a window begins, which
// is another with several shards.
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
	comparedFor = 10 // what a comparison found
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

// translate puts etcd's indexes, those of want, into an answer of ours where they
// are of the same rank; what is not stays, and shows as a difference. changed says
// that the answer is a change's, so that its header is of one.
func (r *ranks) translate(want, got string, changed bool) string {
	wants, gots := places(want), places(got)
	if len(wants) != len(gots) {
		return got
	}
	alike := make([]bool, len(gots))
	for pass := range 2 { // what is a change's first
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

// number reads an index; one counted from the start is one more, so that the
// start itself is none of those that stand for nothing.
func number(s string) uint64 {
	text, counted := strings.CutPrefix(s, "@")
	n, _ := strconv.ParseInt(strings.TrimSuffix(text, "@"), 10, 64)
	if counted {
		return uint64(n + fromStart)
	}
	return uint64(n)
}

// fromStart is where indexes are that are counted from the start.
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
		{`X-Etcd-Index: 5`, `X-Etcd-Index: 8`, false, false}, // behind what was shown
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
