package commands

import (
	"slices"
	"testing"
)

func TestSamples(t *testing.T) {
	s := parseSamples([]byte("# HELP a b\na{x=\"1\",y=\"p q} r\"} 3\na{x=\"2\"} 1e2\nb 7\n\nbroken\n"))
	if got := s.sum("a"); got != 103 {
		t.Errorf("the sum is %v: %v", got, s)
	}
	if got := s.sum("a", label("x", "2")); got != 100 {
		t.Errorf("with a label: %v", got)
	}
	if got := s.largest("b"); got != 7 || s.sum("broken") != 0 {
		t.Errorf("%v", s)
	}
	if got := s.labels("a", "x"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("%q", got)
	}
}

func TestPrefixes(t *testing.T) {
	p := newPrefixes()
	for _, key := range []string{"/a/b/c", "/a/b/d/e", "/a", "/x/y"} {
		p.add(prefixOf(key))
	}
	if got := p.take(); !slices.Equal(got, []prefixCount{{"/a/b", 2}, {"/", 1}, {"/x", 1}}) {
		t.Errorf("%v", got)
	}
	for i := range prefixesLimit + 5 {
		p.add(string(rune('a'+i%26)) + string(rune(i)))
	}
	if n := len(p.take()); n > prefixesLimit {
		t.Errorf("%d prefixes are counted", n)
	}
}
