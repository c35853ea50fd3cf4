package statemachine

import (
	"fmt"
	"testing"
)

func TestMarksStayWithinTheirLimit(t *testing.T) {
	s := newMarks(1)
	s.limit = 1000
	s.raise(nil, 7)
	for i := range 1000 {
		key := fmt.Sprintf("/%d", i)
		if at := s.get(key, i%2 == 0); at != 7 {
			t.Fatalf("a mark begins with %d", at)
		}
		real := 0
		for name := range s.of {
			real += markCost + len(name.key)
		}
		if s.size != real || real > s.limit {
			t.Fatalf("they take %d bytes and count %d", real, s.size)
		}
	}
	if len(s.of) < 5 {
		t.Errorf("%d marks are kept", len(s.of))
	}
	for name := range s.of {
		s.raise(map[string][]byte{name.key + "/x": nil}, 9)
		if at := s.get(name.key, name.recursive); at != 9 {
			t.Errorf("the mark of %v is %d after a change at 9", name, at)
		}
		break
	}
	if at := s.get("/gone", true); at != 9 {
		t.Errorf("a mark that is asked for anew begins with %d", at)
	}
	if s.restart(10); s.size != 0 || s.get("/gone", true) != 10 {
		t.Error("a mark outlives a change of whatever there is")
	}
}
