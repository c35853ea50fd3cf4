package actors

import (
	"bytes"
	"math"
	"testing"
	"time"

	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// restored makes a file with one key that lives until then, and restores it.
func restored(t *testing.T, expires int64, change func(*RestoreOptions)) Restored {
	t.Helper()
	var file bytes.Buffer
	w, err := portable.NewWriter(&file, portable.Header{ClusterID: 7, Index: 9, Term: 2, Shards: 1, Nodes: 1, Time: time.Unix(1_800_000_000, 0)})
	if err == nil {
		err = w.Node(&tree.Node{Key: "/k", Value: []byte("v"), Created: 3, Modified: 4, Expires: expires})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	urls := []string{"http://127.0.0.1:1"}
	o := RestoreOptions{Dir: t.TempDir(), HostName: "h", Bump: 10, Cluster: ClusterOptions{Name: "m", PeerURLs: urls, Founders: map[string][]string{"m": urls}, Shards: 1, Token: "t"}}
	change(&o)
	done, err := Restore(&file, o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestMembersThatRestoreDifferentlyAreOfDifferentGenerations(t *testing.T) {
	seen := map[uint64]string{}
	for name, change := range map[string]func(*RestoreOptions){
		"nothing special":     func(*RestoreOptions) {},
		"another bump":        func(o *RestoreOptions) { o.Bump++ },
		"longer lives":        func(o *RestoreOptions) { o.Extend = time.Hour },
		"resumed":             func(o *RestoreOptions) { o.Resume = true },
		"more shards":         func(o *RestoreOptions) { o.Cluster.Shards, o.Cluster.ShardsGiven = 2, true },
		"under another token": func(o *RestoreOptions) { o.Cluster.Token = "u" },
	} {
		g := restored(t, 0, change).Generation
		if other, known := seen[g]; known {
			t.Errorf("%s and %s: both are of generation %d", name, other, g)
		}
		seen[g] = name
	}
	if g := restored(t, 0, func(o *RestoreOptions) { o.HostName = "elsewhere" }).Generation; seen[g] != "nothing special" {
		t.Errorf("on another host it is of generation %d", g)
	}
}

func TestALifeThatIsExtendedDoesntEndInThePast(t *testing.T) {
	done := restored(t, math.MaxInt64-5, func(o *RestoreOptions) { o.Extend = 900 * time.Hour })
	if done.Expired != 0 {
		t.Errorf("%d nodes are overdue", done.Expired)
	}
}
