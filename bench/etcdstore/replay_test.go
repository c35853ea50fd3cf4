package etcdstore_test

import (
	"encoding/json"
	"testing"
	"time"

	"copse/bench/etcdstore"
	"copse/bench/v2api"
)

// What etcd answers to these is known from its own documentation.
func TestStoreAnswersAsEtcd(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	end := start.Add(5 * time.Second)
	s := etcdstore.New(1000, start)
	s.SetIndex(3)
	for _, test := range []struct {
		name    string
		request v2api.Request
		expires *time.Time
		want    string
	}{
		{"set", v2api.Request{Method: "PUT", Key: "/a", Value: "1"}, nil,
			`{"action":"set","node":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}`},
		{"swap", v2api.Request{Method: "PUT", Key: "/a", Value: "2", PrevIndex: 4}, nil,
			`{"action":"compareAndSwap","node":{"key":"/a","value":"2","modifiedIndex":5,"createdIndex":4},"prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}`},
		{"swap refused", v2api.Request{Method: "PUT", Key: "/a", Value: "3", PrevValue: "x"}, nil,
			`{"errorCode":101,"message":"Compare failed","cause":"[x != 2]","index":5}`},
		{"directory with a ttl", v2api.Request{Method: "PUT", Key: "/d", Dir: true, PrevExist: "false", TTL: 5}, &end,
			`{"action":"create","node":{"key":"/d","dir":true,"expiration":"2026-01-02T03:04:10Z","modifiedIndex":6,"createdIndex":6}}`},
		{"in order", v2api.Request{Method: "POST", Key: "/d", Value: "q"}, nil,
			`{"action":"create","node":{"key":"/d/00000000000000000007","value":"q","modifiedIndex":7,"createdIndex":7}}`},
		{"listing", v2api.Request{Method: "GET", Key: "/d", Sorted: true}, nil,
			`{"action":"get","node":{"key":"/d","dir":true,"expiration":"2026-01-02T03:04:10Z","nodes":[{"key":"/d/00000000000000000007","value":"q","modifiedIndex":7,"createdIndex":7}],"modifiedIndex":6,"createdIndex":6}}`},
		{"delete", v2api.Request{Method: "DELETE", Key: "/a", PrevIndex: 5}, nil,
			`{"action":"compareAndDelete","node":{"key":"/a","modifiedIndex":8,"createdIndex":4},"prevNode":{"key":"/a","value":"2","modifiedIndex":5,"createdIndex":4}}`},
		{"not there", v2api.Request{Method: "GET", Key: "/a/b"}, nil,
			`{"errorCode":100,"message":"Key not found","cause":"/a","index":8}`},
	} {
		ev, fault := s.Do(&test.request, test.expires)
		if got := text(t, ev, fault); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
	s.Delay(time.Second)
	key, at, ok := s.Due()
	if !ok || key != "/d" || !at.Equal(end.Add(time.Second)) {
		t.Errorf("due is %s at %v (%v)", key, at, ok)
	}
	ev, err := s.Expire(key)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"action":"expire","node":{"key":"/d","dir":true,"modifiedIndex":9,"createdIndex":6},"prevNode":{"key":"/d","dir":true,"expiration":"2026-01-02T03:04:11Z","modifiedIndex":6,"createdIndex":6}}`
	if got := text(t, ev, nil); got != want {
		t.Errorf("expiry:\ngot  %s\nwant %s", got, want)
	}
	if s.Has("/d") || s.Index() != 9 {
		t.Errorf("/d is there: %v; index %d", s.Has("/d"), s.Index())
	}
	if _, err := s.Expire(key); err == nil {
		t.Error("expired nothing")
	}
}

func text(t *testing.T, ev *v2api.Event, fault *v2api.Fault) string {
	t.Helper()
	var v any = ev
	if fault != nil {
		v = fault
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
