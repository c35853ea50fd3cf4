package placement_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"copse/bench/placement"
)

// The table of docs/SHARDS.md, as users see it.
func TestSlotIsThatOfThePage(t *testing.T) {
	doc, err := os.ReadFile("../../docs/SHARDS.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^\\| (\\(empty\\)|`[^`]+`) \\| `[0-9a-f]{16}` \\| `[0-9a-f]{16}` \\|(.*)\\|$")
	lines := line.FindAllStringSubmatch(string(doc), -1)
	if len(lines) < 8 {
		t.Fatalf("the table has %d lines", len(lines))
	}
	for _, l := range lines {
		name := strings.Trim(l[1], "`")
		if name == "(empty)" {
			name = ""
		}
		for i, cell := range strings.Split(l[2], "|") {
			shards := []int{2, 3, 4, 8, 64}[i]
			want, err := strconv.Atoi(strings.TrimSpace(cell))
			if err != nil {
				t.Fatal(err)
			}
			if got := placement.Slot("/"+name+"/below", shards); got != want {
				t.Errorf("%q is in shard %d of %d, want %d", name, got, shards, want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for key, want := range map[string]string{"": "", "/": "", "/a": "a", "/a/": "a", "/a/b/c": "a", "/_h": "_h"} {
		if got := placement.Name(key); got != want {
			t.Errorf("%q: got %q, want %q", key, got, want)
		}
		if placement.Root(key) != (want == "") {
			t.Errorf("%q: root is %v", key, placement.Root(key))
		}
	}
	if got := fmt.Sprint(placement.Slot("/a", 0), placement.Slot("/a", 1)); got != "0 0" {
		t.Errorf("without shards: %s", got)
	}
}
