package recent_test

import (
	"slices"
	"testing"

	"copse/statemachine/recent"
)

func TestTheNewestAreKept(t *testing.T) {
	var l recent.List[int]
	if got := l.All(); len(got) != 0 {
		t.Errorf("an empty list has %v", got)
	}
	for n := range recent.Limit + 5 {
		l.Add(n)
		want := []int{}
		for i := n; i >= 0 && len(want) < recent.Limit; i-- {
			want = append(want, i)
		}
		if got := l.All(); !slices.Equal(got, want) {
			t.Fatalf("after %d: got %v want %v", n, got, want)
		}
	}
}
