package actors_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"copse/actors"
	"copse/statemachine/tree"
)

// TestAMirrorHasNoTimeOfItsOwn: what its source says of expirations is in the time of day. Its own begins with the promotion.
func TestAMirrorHasNoTimeOfItsOwn(t *testing.T) {
	var index atomic.Uint64
	index.Store(10)
	source := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Etcd-Cluster-Id", "2")
		w.Header().Set("X-Etcd-Index", fmt.Sprint(index.Load()))
		w.Header().Set("X-Raft-Term", "3")
		switch {
		case r.URL.Query().Get("wait") == "true":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v2/keys"):
			fmt.Fprint(w, `{"action":"get","node":{"dir":true,"nodes":[{"key":"/lock","value":"v","expiration":"2100-01-02T03:04:05Z","ttl":9,"modifiedIndex":8,"createdIndex":8}]}}`)
		default:
			fmt.Fprint(w, `{"enabled":false}`)
		}
	}))
	var open atomic.Int64
	source.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	source.Start()
	defer source.Close()
	n := startNode(t, t.TempDir(), freeAddress(t), func(o *actors.MemberOptions) { o.Sources = []string{source.URL} })
	await := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no", what)
			}
		}
	}
	for range 6 {
		at := tree.Index(index.Add(1))
		await("mirror", func() bool { return n.State().Index >= at })
		if n.node.Timed() {
			t.Fatal("a mirror's batches say what time it is")
		}
	}
	tagOf := func() tree.Index {
		q := tree.Query{Key: "/lock", Tag: &tree.Tag{}}
		if _, _, _, err := n.Get(nil, q); err != nil {
			t.Fatal(err)
		}
		return q.Tag.At
	}
	if at := tagOf(); at != 0 {
		t.Errorf("a mirror says that what it shows is of index %d", at)
	}
	done, refused, err := n.Promote(true, 3*time.Second, 100)
	if refused != "" || err != nil || !strings.Contains(string(done), `"corrected":0`) {
		t.Fatalf("promoted: %s %s %v", done, refused, err)
	}
	if at := tagOf(); at == 0 {
		t.Error("after the promotion there are no tags")
	}
	await("time", func() bool {
		if r := n.Do(setTo("/a", "v")); r.Err != nil {
			t.Fatal(r.Err)
		}
		return n.node.Timed()
	})
	n.stop()
	await("end of the connections to the source", func() bool { return open.Load() == 0 })
}
