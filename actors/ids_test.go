package actors

import (
	"testing"
)

// The ids that a real etcd 3.4.23 chose.
func TestIDsAreEtcds(t *testing.T) {
	member := foundingMemberID([]string{"http://127.0.0.1:12380"}, "etcd-cluster")
	if want := uint64(0xddd67b312462fd7b); member != want {
		t.Errorf("foundingMemberID = %x, want %x", member, want)
	}
	if got, want := newClusterID(member), uint64(0xa7ef944b95711739); got != want {
		t.Errorf("newClusterID = %x, want %x", got, want)
	}
}

func TestIDsDoNotDependOnOrder(t *testing.T) {
	urls := []string{"http://b:1", "http://a:1"}
	if foundingMemberID(urls, "t") != foundingMemberID([]string{"http://a:1", "http://b:1"}, "t") {
		t.Error("foundingMemberID depends on the order of the URLs")
	}
	if urls[0] != "http://b:1" {
		t.Error("foundingMemberID sorted its argument in place")
	}
	if newClusterID(1, 2, 3) != newClusterID(3, 1, 2) {
		t.Error("newClusterID depends on the order of the members")
	}
	if foundingMemberID(urls, "t") == foundingMemberID(urls, "u") {
		t.Error("foundingMemberID does not depend on the token")
	}
}
