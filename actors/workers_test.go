package actors_test

import (
	"testing"

	"copse/actors"
)

func TestMoreWorkersSaveOnManyCores(t *testing.T) {
	for _, c := range []struct {
		shards, cores int
		want          uint64
	}{{1, 64, 1}, {4, 64, 1}, {16, 2, 1}, {8, 16, 2}, {16, 16, 2}, {16, 64, 4}, {64, 64, 8}} {
		if got := actors.ExecShards(c.shards, c.cores); got != c.want {
			t.Errorf("%d shards on %d cores: got %d workers want %d", c.shards, c.cores, got, c.want)
		}
	}
}
