package peerlink_test

import (
	"testing"

	"copse/actors/peerlink"
)

func TestMemberUUIDs(t *testing.T) {
	for _, id := range []uint64{1, 0xffff, 1 << 48, 0x8e9e05c52164694d, 1<<64 - 1} {
		uuid := peerlink.MemberUUID(id)
		if got, err := peerlink.UUIDMember(uuid); err != nil || got != id || len(uuid) != 36 {
			t.Errorf("%x: %s, %x, %v", id, uuid, got, err)
		}
	}
	for _, bad := range []string{
		"", "1", "636f7073-652d-6d65-0000-000000000000", "636f7073-652d-6d65-0000-00000000000g",
		"636F7073-652D-6D65-0000-000000000001", "00000000-0000-0000-0000-000000000001",
		"636f7073-652d-6d65-0000000000000001", "636f7073-652d-6d65-000-0000000000001",
	} {
		if id, err := peerlink.UUIDMember(bad); err == nil {
			t.Errorf("%q is member %x", bad, id)
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
