package httpfront_test

import (
	"testing"

	"copse/httpfront"
	"copse/statemachine/tree"
)

func TestShardsTellWhereTheyStand(t *testing.T) {
	s := serve(t, httpfront.Options{})
	first := tree.ShardStatus{ID: 2, Leader: 0xab, Term: 7, Applied: 123, Index: 456, Nodes: 10, Bytes: 4096, Watchers: 3, Members: []uint64{0xab, 0xcd}}
	for _, test := range []struct {
		name string
		all  tree.ShardsStatus
		want string
	}{
		{"one", tree.ShardsStatus{Data: []tree.ShardStatus{first}, Closed: 456},
			`{"shards":[{"id":2,"slot":0,"leader":"ab","term":7,"appliedIndex":123,"index":456,"keys":10,"bytes":4096,"watchers":3,"members":["ab","cd"]}],"closedIndex":456}`},
		{"several", tree.ShardsStatus{Data: []tree.ShardStatus{first, {ID: 3, Slot: 1}}, Order: &tree.ShardStatus{ID: 1, Leader: 0xcd, Term: 8, Applied: 9, Index: 460, Bytes: 5}, Closed: 450},
			`{"shards":[{"id":2,"slot":0,"leader":"ab","term":7,"appliedIndex":123,"index":456,"keys":10,"bytes":4096,"watchers":3,"members":["ab","cd"]},` +
				`{"id":3,"slot":1,"leader":"","term":0,"appliedIndex":0,"index":0,"keys":0,"bytes":0,"watchers":0,"members":[]}],` +
				`"order":{"id":1,"leader":"cd","term":8,"appliedIndex":9,"index":460,"bytes":5,"members":[]},"closedIndex":450}`},
	} {
		s.backend.shards = test.all
		if got, want := s.call("GET", "/v2/copse/shards", ""), (answer{200, "", jsonT, test.want}); got != want {
			t.Errorf("%s:\n%+v, want\n%+v", test.name, got, want)
		}
	}
	if got := s.call("POST", "/v2/copse/shards", ""); got.status != 405 {
		t.Errorf("POST gives %+v", got)
	}
}
