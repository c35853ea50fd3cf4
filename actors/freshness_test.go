package actors_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/statemachine/tree"
)

// Whoever has an index from one member reads at any other what that index covers, of one
// key and of the root.
func TestAnIndexOfOneMemberIsGoodAtAll(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			t.Parallel()
			c := foundShards(t, 3, shards)
			var all sync.WaitGroup
			for i := range uint64(6) {
				all.Go(func() {
					for j := range uint64(20) {
						name := fmt.Sprintf("/k%d-%d", i, j)
						at := c.set(1+(i+j)%3, name, "v").State.Index
						for id := range uint64(3) {
							q := tree.Query{Key: name, MinIndex: at}
							if id == j%3 {
								q = tree.Query{Key: "/", MinIndex: at}
							}
							out, _, st, err := c.nodes[1+id].Get(nil, q)
							if err != nil || st.Index < at || !strings.Contains(string(out), `"`+name+`"`) {
								t.Errorf("member %d doesn't show %s at %d in %s: %v, %d", 1+id, name, at, q.Key, err, st.Index)
							}
						}
					}
				})
			}
			all.Wait()
			for _, key := range []string{"/k0-0", "/"} {
				_, _, _, err := c.nodes[1].Get(nil, tree.Query{Key: key, MinIndex: math.MaxUint64})
				if err == nil || err.Code != tree.CodeRaftInternal || !strings.Contains(err.Cause, "minIndex 18446744073709551615") {
					t.Errorf("an index far ahead for %s: %v", key, err)
				}
			}
		})
	}
}

// A read of a bounded age is answered without a quorum for as long as that lasts.
func TestReadsOfABoundedAge(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards, " shards"), func(t *testing.T) {
			t.Parallel()
			c := foundShards(t, 3, shards)
			left := c.follower()
			other := 1 + left%3
			read := func(key string, stale time.Duration) (string, error) {
				out, _, _, err := c.nodes[left].Get(nil, tree.Query{Key: key, MaxStale: stale})
				if err != nil {
					return "", errors.New(err.Cause)
				}
				return string(out), nil
			}
			for i := range 20 {
				value := fmt.Sprintf("\"v%d\"", i)
				c.set(other, "/k", strings.Trim(value, `"`))
				for _, key := range []string{"/k", "/"} {
					out, err := read(key, time.Nanosecond)
					if err != nil || key == "/k" && !strings.Contains(out, value) {
						t.Errorf("%s: %s, %v; want %s", key, out, err, value)
					}
				}
			}
			for _, id := range c.ids() {
				if id != left {
					c.stop(id)
				}
			}
			for _, key := range []string{"/k", "/"} {
				if out, err := read(key, time.Hour); err != nil {
					t.Errorf("a read of %s as old as that: %s, %v", key, out, err)
				}
				if out, err := read(key, time.Nanosecond); err == nil {
					t.Errorf("a read of %s without a quorum: %s", key, out)
				}
			}
		})
	}
}
