package config_test

import (
	"testing"

	"copse/config"
)

// The ids of a real etcd 3.4.23.
func TestIDsAreEtcds(t *testing.T) {
	member := config.MemberID([]string{"http://127.0.0.1:12380"}, "etcd-cluster")
	if want := uint64(0xddd67b312462fd7b); member != want {
		t.Errorf("MemberID = %x, want %x", member, want)
	}
	if got, want := config.ClusterID(member), uint64(0xa7ef944b95711739); got != want {
		t.Errorf("ClusterID = %x, want %x", got, want)
	}
}

func TestIDsDoNotDependOnOrder(t *testing.T) {
	urls := []string{"http://b:1", "http://a:1"}
	if config.MemberID(urls, "t") != config.MemberID([]string{"http://a:1", "http://b:1"}, "t") {
		t.Error("MemberID depends on the order of the URLs")
	}
	if urls[0] != "http://b:1" {
		t.Error("MemberID sorted its argument in place")
	}
	if config.ClusterID(1, 2, 3) != config.ClusterID(3, 1, 2) {
		t.Error("ClusterID depends on the order of the members")
	}
	if config.MemberID(urls, "t") == config.MemberID(urls, "u") {
		t.Error("MemberID does not depend on the token")
	}
}
