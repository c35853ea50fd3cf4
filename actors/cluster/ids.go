package cluster

import (
	"crypto/sha1"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FoundingMemberID computes the id of a founding member as etcd does: the first 8
// bytes of the SHA-1 of its peer URLs, sorted and joined, followed by the cluster's
// token. The name plays no role.
func FoundingMemberID(peerURLs []string, token string) uint64 {
	sorted := slices.Sorted(slices.Values(peerURLs))
	return first8([]byte(strings.Join(sorted, "") + token))
}

// NewMemberID computes the id of a member that is added to a running cluster, as etcd
// does: like a founder's, but with the time instead of the token, so that a member
// that is added a second time gets another id. The URLs are sorted.
func NewMemberID(urls []string, now time.Time) uint64 {
	return first8([]byte(strings.Join(urls, "") + strconv.FormatInt(now.Unix(), 10)))
}

// NewClusterID computes the id of a cluster from those of its founding members as
// etcd does: the first 8 bytes of the SHA-1 of the sorted ids, 8 bytes each.
func NewClusterID(memberIDs ...uint64) uint64 {
	var b []byte
	for _, id := range slices.Sorted(slices.Values(memberIDs)) {
		b = binary.BigEndian.AppendUint64(b, id)
	}
	return first8(b)
}

func first8(b []byte) uint64 {
	sum := sha1.Sum(b)
	return binary.BigEndian.Uint64(sum[:8])
}
