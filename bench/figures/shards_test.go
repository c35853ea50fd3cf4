package main

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"copse/bench/peer"
	"copse/bench/placement"
)

func TestEvenNamesGiveEachShardAsMuch(t *testing.T) {
	names := evenNames(8)
	for _, shards := range []int{1, 2, 4, 8} {
		have := make([]int, shards)
		for _, name := range names {
			have[placement.Slot("/"+name, shards)]++
		}
		for _, n := range have {
			if n != 8/shards {
				t.Errorf("%d shards have %v of %v", shards, have, names)
				break
			}
		}
	}
	for i, name := range topNames([]int{0, 3, 6}, 9, 6) {
		if got, want := placement.Slot("/"+name, 9), 3*(i%3); got != want {
			t.Errorf("name %d is in %d, want %d", i, got, want)
		}
	}
}

// The command works with a real cluster; its figures mean nothing.
func TestMembersRuns(t *testing.T) {
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	if err := members([]string{"-servers", "copse", "-copse", "new=" + binary, "-rounds", "1", "-warm", "50ms", "-d", "200ms"}); err != nil {
		t.Fatal(err)
	}
}

func TestCountsAddUpShards(t *testing.T) {
	text := "# HELP x y\nx_sum{shard=\"1\"} 1.5\nx_sum{shard=\"2\"} 2.5\nx_count{shard=\"1\"} 1\nx_count{shard=\"2\"} 3\nx_bucket{le=\"1\"} 7\nplain 5\n"
	c := counts{}
	if err := c.read(bufio.NewScanner(strings.NewReader(text))); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c), "map[plain:5 x_count:4 x_sum:4]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	d := c.since(counts{"x_sum": 2, "x_count": 3})
	if got := d.mean("x"); got != 2 {
		t.Errorf("mean: got %v, want 2", got)
	}
	if got := d.mean("nothing"); got != 0 {
		t.Errorf("mean of nothing: got %v", got)
	}
	if err := c.read(bufio.NewScanner(strings.NewReader("x five\n"))); err == nil {
		t.Error("no number, but no error")
	}
}

func TestShardsTableShowsRatios(t *testing.T) {
	b := &comparison{workload: workload{name: "work"}, readings: map[string][]reading{
		"N = 1": {{rate: 200, cpu: 10}, {rate: 100, cpu: 10}},
		"N = 4": {{rate: 100, cpu: 20}, {rate: 100, cpu: 20}},
	}}
	got := shardsTable(shardOptions{counts: []int{1, 4}}, b)
	if want := "| 0.75 (0.50…1.00) | 2.00 (2.00…2.00) |"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
}

// clusterShards is the number of shards of the cluster that the test measures.
const clusterShards = 9

// Both commands work with real servers; their figures mean nothing.
func TestShardFiguresRun(t *testing.T) {
	counts := strings.Trim(strings.ReplaceAll(fmt.Sprint(peer.ShardCounts()), " ", ","), "[]")
	short := []string{"-shards", counts, "-connections", "24", "-rounds", "1", "-warm", "50ms", "-d", "200ms"}
	if err := shards(short); err != nil {
		t.Error(err)
	}
	if err := scaling(append(short, "-procs", "1", "-cluster-shards", fmt.Sprint(clusterShards))); err != nil {
		t.Error(err)
	}
}
