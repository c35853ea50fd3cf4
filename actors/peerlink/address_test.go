package peerlink_test

import (
	"testing"

	"copse/actors/peerlink"
)

func TestMemberUUIDs(t *testing.T) {
	for id, want := range map[uint64]string{
		1:                  "636f7073-652d-6d65-0000-000000000001",
		0x8e9e05c52164694d: "636f7073-652d-6d65-8e9e-05c52164694d",
		1<<64 - 1:          "636f7073-652d-6d65-ffff-ffffffffffff",
	} {
		if got := peerlink.MemberUUID(id); got != want {
			t.Errorf("%x: got %s, want %s", id, got, want)
		}
	}
}

func TestRaftAddresses(t *testing.T) {
	valid := join(t, 0xa).TransportFactory().Validate
	for address, want := range map[string]bool{
		"127.0.0.1:2380": true, "[::1]:2380": true, "[fe80::1%eth0]:2380": true, "localhost:2380": true,
		"etcd-0.etcd_svc.default:65535": true,
		"":                              false, "127.0.0.1": false, ":2380": false, "127.0.0.1:0": false, "127.0.0.1:65536": false,
		"::1:2380": false, "a b:2380": false, "http://a:2380": false, "a:http": false,
	} {
		if got := valid(address); got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}
