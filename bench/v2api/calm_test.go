package v2api

import (
	"testing"
	"time"
)

func TestCalm(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	end, moved := begin.Add(time.Second), begin.Add(time.Hour)
	c := Calm{}
	nodes := map[string]Node{"/a": {Expiration: &end}, "/b": {}}
	if over, err := c.Look(begin, nodes); over || err != nil {
		t.Fatal(over, err)
	}
	nodes["/a"] = Node{Expiration: &moved} // nothing keeps it from expiring, so this doesn't help
	if over, err := c.Look(end.Add(calmSlack), nodes); over || err != nil {
		t.Fatal(over, err)
	}
	if _, err := c.Look(end.Add(calmSlack+1), nodes); err == nil {
		t.Error("a key that stays is not noticed")
	}
	delete(nodes, "/a")
	if over, err := c.Look(moved, nodes); !over || err != nil {
		t.Fatal(over, err)
	}
}
