package tree

import "testing"

// What is shown has changed last at 5, and the tree is at 8.
func TestATagIsCurrentFromTheLastChangeOn(t *testing.T) {
	for name, c := range map[string]struct {
		known   Known
		current bool
		at      Index
	}{
		"nothing":             {},
		"the state before":    {Known{At: []Index{4}}, false, 0},
		"the change":          {Known{At: []Index{5}}, true, 5},
		"now":                 {Known{At: []Index{8}}, true, 8},
		"another member's":    {Known{At: []Index{9}}, false, 0},
		"the latest of many":  {Known{At: []Index{5, 9, 7, 6, 1}}, true, 7},
		"whatever there is":   {Known{Any: true}, true, 5},
		"whatever, and a tag": {Known{Any: true, At: []Index{6}}, true, 6},
	} {
		tag := &Tag{Known: c.known}
		if got := tag.IsCurrent(5, 8, true); got != c.current || tag.Current != got || tag.At != c.at {
			t.Errorf("%s: got %v, at %d", name, tag.Current, tag.At)
		}
		if tag.Shows(7, false); tag.At != 7 || tag.Weak {
			t.Errorf("%s: got %+v", name, tag)
		}
	}
	if tag := (&Tag{Known: Known{Any: true}}); !tag.IsCurrent(9, 8, true) || tag.At != 0 {
		t.Errorf("while it is being changed: %+v", tag)
	}
	var none *Tag
	if none.Shows(1, false); none.Asks() || none.IsCurrent(1, 1, false) {
		t.Error("a client that asks nothing is told something")
	}
}
