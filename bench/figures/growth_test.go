package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"
)

func TestNumberedRequestsAreThoseOfTheirKey(t *testing.T) {
	const address = "127.0.0.1:2379"
	for _, i := range []int{0, 999, 1000, 999_999} {
		pick := func(int, int64) int { return i }
		got := string(numberedGets(address, pick).appendRequest([]byte("before "), 3, 4))
		if want := "before " + string(getRequest(address, keyOf(i))); got != want {
			t.Errorf("GET %d: got %q, want %q", i, got, want)
		}
		got = string(numberedPuts(address, "/p", pick, "v", "w").appendRequest(nil, 3, 5))
		if want := string(formRequest("PUT", address, "/p"+keyOf(i), "value=w")); got != want {
			t.Errorf("PUT %d: got %q, want %q", i, got, want)
		}
	}
}

func TestInOrderLeavesNoNumberOut(t *testing.T) {
	for _, connections := range []int{1, 3, 10} {
		var got []int
		pick := inOrder(5, 15, connections)
		for n := range int64((10 + connections - 1) / connections) {
			for c := range connections {
				got = append(got, pick(c, n))
			}
		}
		if got, want := fmt.Sprint(slices.Compact(got)), "[5 6 7 8 9 10 11 12 13 14]"; got != want {
			t.Errorf("%d connections: got %s, want %s", connections, got, want)
		}
	}
}

func TestIncompressibleValues(t *testing.T) {
	const n = 64 << 10
	text := incompressible(n)
	if len(text) != n || url.QueryEscape(text) != text {
		t.Errorf("%d bytes, or a form writes them otherwise", len(text))
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.HuffmanOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// 64 letters take 6 bits each, and not less.
	if packed.Len() < n*6/8 {
		t.Errorf("%d bytes are %d compressed", n, packed.Len())
	}
}

func TestSteepestIsTheFirstCliffOrTheNearestToOne(t *testing.T) {
	for _, test := range []struct {
		curve []float64
		want  string
	}{
		{[]float64{10, 20, 15, 30}, "2 0.75"},
		{[]float64{10, 20, 40}, "1 2.00"},
		{[]float64{10, 40, 15, 3}, "2 0.38"},
		{[]float64{10, 9, 4}, "2 0.40"},
		{[]float64{10, 5}, "1 0.50"},
	} {
		at, share := steepest(test.curve)
		if got := fmt.Sprintf("%d %.2f", at, share); got != test.want {
			t.Errorf("%v: got %s, want %s", test.curve, got, test.want)
		}
	}
}

// tried are options with two points to each curve.
var tried = growthOptions{keys: []int{1000, 20_000}, connections: []int{1, 20}, values: []int{16, 4096}}

func TestPointsSayWhatIsThereAlready(t *testing.T) {
	var got []string
	for _, c := range curves(tried) {
		for _, p := range c.points {
			got = append(got, fmt.Sprintf("%s %s: %v, %d there", c.name, c.label(p.at), p.load, p.there))
		}
	}
	want := []string{
		"keys 1,000: {1000 100 64}, 0 there", "keys 20,000: {20000 100 64}, 1000 there",
		"connections 1: {1000 64 1}, 0 there", "connections 20: {1000 64 20}, 1000 there",
		"values 16 B: {64 16 16}, 0 there", "values 4 KiB: {64 4096 16}, 0 there",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestCurvesAreJudged(t *testing.T) {
	measured := map[string][2]reading{ // at the two points
		"keys":        {{rate: 100, cpu: 10}, {rate: 80, cpu: 14}},
		"connections": {{rate: 100}, {rate: 40}},
		"values":      {{rate: 100}, {rate: 40}},
	}
	for _, c := range curves(tried) {
		for i, p := range c.points {
			for _, b := range p.comparisons {
				b.readings["copse"] = []reading{measured[c.name][i]}
			}
		}
		want := map[string]string{
			"keys":        "- PUT, 20,000 : 1,000: CPU ≤ 1.30: 1.40, **missed**; requests/s ≥ 0.77: 0.80, met\n",
			"connections": "- GET, requests/s at 20, to the best before: 0.40, **cliff**\n",
			"values":      "- GET, MiB/s at 4 KiB, to the best before: 102.4, no cliff\n",
		}[c.name]
		if got := c.markdown(newLineup(peer.Copse)); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestConnectionsThatDontFitAreLeftOut(t *testing.T) {
	got, err := thatFit([]int{1, math.MaxInt})
	if err != nil || !slices.Equal(got, []int{1}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// The command works with a real server; its figures mean nothing.
func TestGrowthRuns(t *testing.T) {
	dir := t.TempDir()
	err := growth([]string{"-servers", "copse", "-rounds", "1", "-warm", "50ms", "-d", "200ms", "-pictures", dir,
		"-keys", "1000,3000", "-connections", "1,20", "-values", "16,4096"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"keys", "connections", "values"} {
		text, err := os.ReadFile(filepath.Join(dir, "growth-"+name+".svg"))
		if err != nil || !strings.Contains(string(text), "copse PUT") {
			t.Errorf("%s: %v, or no legend in the picture", name, err)
		}
	}
}
