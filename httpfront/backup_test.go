package httpfront_test

import (
	"strings"
	"testing"

	"copse/httpfront"
	"copse/statemachine/auth"
	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

func TestBackup(t *testing.T) {
	s := serve(t, httpfront.Options{InFlight: inflight.New(8 << 20)})
	s.backend.parts = []string{"one,", strings.Repeat("x", 100_000), ",end"}
	whole := func(got answer) bool { // in chunks
		return got.status == 200 && got.kind == "application/gzip" && strings.Count(got.body, "x") >= 100_000 && strings.HasSuffix(got.body, ",end\r\n0\r\n\r\n")
	}
	if got := s.call("GET", "/v2/copse/backup", ""); !whole(got) {
		t.Errorf("got %d, %s, %d bytes", got.status, got.kind, len(got.body))
	}
	if got := s.send(lines("GET /v2/copse/backup?stale=false HTTP/1.1", "Host: h", "Connection: close")); !strings.Contains(got, "\r\nX-Etcd-Index: 3\r\n") || strings.Count(got, "X-Etcd-Cluster-Id") != 1 {
		t.Errorf("got %.300s", got)
	}
	s.wantClosedListings(2)
	if got := s.call("GET", "/v2/copse/backup?stale=x", ""); got.status != 400 {
		t.Errorf("stale=x: %+v", got)
	}
	if got := s.call("POST", "/v2/copse/backup", ""); got.status != 405 {
		t.Errorf("POST: %+v", got)
	}
	if got := s.send(lines("GET /v2/copse/backup HTTP/1.0")); !strings.HasPrefix(got, "HTTP/1.0 505 ") {
		t.Errorf("HTTP/1.0: got %.200s", got)
	}
	s.wantClosedListings(2)
	s.backend.err = &tree.Error{Code: tree.CodeRaftInternal, Cause: "no quorum"}
	if got := s.call("GET", "/v2/copse/backup", ""); got.status != 500 || !strings.Contains(got.body, `"errorCode":300`) {
		t.Errorf("without a quorum: %+v", got)
	}
	if got := s.call("GET", "/v2/copse/backup?stale=true", ""); !whole(got) {
		t.Errorf("stale: %d, %s, %d bytes", got.status, got.kind, len(got.body))
	}
	s.wantClosedListings(3)
}

// TestHashesLeaveThisMachineForRootOnly asks from elsewhere while auth is off.
func TestHashesLeaveThisMachineForRootOnly(t *testing.T) {
	s, stop := serveFar(t, httpfront.Options{})
	defer stop()
	s.backend.parts = []string{"all"}
	ask := func() string { return s.send(lines("GET /v2/copse/backup HTTP/1.1", "Host: h", "Connection: close")) }
	if got := ask(); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("without users: %s", got)
	}
	s.backend.setAuth(auth.NewState(false, []*auth.User{{Name: "_u", Hash: "secret"}}, nil)) // which no list shows
	if got := ask(); !strings.HasPrefix(got, "HTTP/1.1 403 ") {
		t.Errorf("with one: %s", got)
	}
}
