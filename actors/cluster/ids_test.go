package cluster

import (
	"testing"
)

// The ids that a real etcd 3.4.23 chose.
func TestIDsAreEtcds(t *testing.T) {
	member := FoundingMemberID([]string{"http://127.0.0.1:12380"}, "etcd-cluster")
	if want := uint64(0xddd67b312462fd7b); member != want {
		t.Errorf("FoundingMemberID = %x, want %x", member, want)
	}
	if got, want := NewClusterID(member), uint64(0xa7ef944b95711739); got != want {
		t.Errorf("NewClusterID = %x, want %x", got, want)
	}
}

func TestIDsDoNotDependOnOrder(t *testing.T) {
	urls := []string{"http://b:1", "http://a:1"}
	if FoundingMemberID(urls, "t") != FoundingMemberID([]string{"http://a:1", "http://b:1"}, "t") {
		t.Error("FoundingMemberID depends on the order of the URLs")
	}
	if urls[0] != "http://b:1" {
		t.Error("FoundingMemberID sorted its argument in place")
	}
	if NewClusterID(1, 2, 3) != NewClusterID(3, 1, 2) {
		t.Error("NewClusterID depends on the order of the members")
	}
	if FoundingMemberID(urls, "t") == FoundingMemberID(urls, "u") {
		t.Error("FoundingMemberID does not depend on the token")
	}
}
