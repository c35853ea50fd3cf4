package compat

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/bench/peer"
)

// A normaliser replaces the parts that differ between two runs of one server by words.
// It replaces only correct values: the ids must be those that v2 derives from
// the peer URLs, an expiration must match its ttl, in UTC and
// without trailing zeros. A wrong value stays, and shows as a difference.
type normaliser struct {
	pairs []string          // name, word, name, word, …
	words *strings.Replacer // names to words
	names *strings.Replacer // and back, for requests
}

func newNormaliser(s *peer.Server) normaliser {
	const token = "etcd-cluster"
	member := sha1.Sum([]byte(s.PeerURL + token))
	cluster := sha1.Sum(member[:8])
	hex := func(sum [sha1.Size]byte) string {
		return strconv.FormatUint(binary.BigEndian.Uint64(sum[:8]), 16)
	}
	pairs := []string{
		hex(cluster), "CLUSTER",
		hex(member), "MEMBER",
		s.Address, "CLIENT-HOST",
		strings.TrimPrefix(s.PeerURL, "http://"), "PEER-HOST",
		newcomerHost(s), "NEWCOMER-HOST",
	}
	return normaliser{}.with(pairs...)
}

// with knows further names and their words.
func (n normaliser) with(pairs ...string) normaliser {
	n.pairs = append(slices.Clone(pairs), n.pairs...)
	n.words = strings.NewReplacer(n.pairs...)
	back := slices.Clone(n.pairs)
	slices.Reverse(back)
	n.names = strings.NewReplacer(back...)
	return n
}

var (
	expirationField = regexp.MustCompile(`"expiration":"([^"]*)"(?:,"ttl":(-?\d+))?`)
	timeField       = regexp.MustCompile(`"(startTime)":"([^"]*)"`)
	uptimeField     = regexp.MustCompile(`"uptime":"(\d+h)?(\d+m)?[\d.]+m?s"`)
	versionField    = regexp.MustCompile(`"(etcdserver|etcdcluster)":"3\.\d+\.\d+"`)
	ttlField        = regexp.MustCompile(`"expiration":"TIME"(?:,"ttl":(-?\d+))?`)
	storeCount      = regexp.MustCompile(`"((?:gets|sets|delete|update|create|compareAnd\w+)(?:Success|Fail)|expireCount|watchers)":\d+`)
	followerStats   = regexp.MustCompile(`"latency":\{"current":[\d.]+,"average":[\d.]+,"standardDeviation":[\d.]+,"minimum":[\d.]+,"maximum":[\d.]+\},"counts":\{"fail":\d+,"success":\d+\}`)
	varyingHeaders  = regexp.MustCompile(`(?m)^(X-Raft-Index|X-Raft-Term): [1-9]\d*$`)
	dateHeader      = regexp.MustCompile(`(?m)^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$`)
)

func (n normaliser) text(s string) string {
	s = expirationField.ReplaceAllStringFunc(s, normalExpiration)
	s = timeField.ReplaceAllStringFunc(s, func(f string) string {
		m := timeField.FindStringSubmatch(f)
		if _, err := time.Parse(time.RFC3339Nano, m[2]); err != nil {
			return f
		}
		return fmt.Sprintf(`"%s":"TIME"`, m[1])
	})
	s = uptimeField.ReplaceAllString(s, `"uptime":"DURATION"`)
	s = versionField.ReplaceAllString(s, `"$1":"VERSION"`)
	s = storeCount.ReplaceAllString(s, `"$1":N`)
	s = followerStats.ReplaceAllString(s, "MEASURED")
	s = n.sortedMembers(s)
	return n.words.Replace(s)
}

// normalExpiration takes an expiration and the ttl that follows it. The ttl
// was counted when the answer was made, a little while ago.
func normalExpiration(f string) string {
	const early, late = 20 * time.Second, 1500 * time.Millisecond
	m := expirationField.FindStringSubmatch(f)
	at, err := time.Parse(time.RFC3339Nano, m[1])
	if err != nil || at.UTC().Format(time.RFC3339Nano) != m[1] {
		return f
	}
	ttl, _ := strconv.ParseInt(m[2], 10, 64) // absent means 0
	off := time.Until(at) - time.Duration(ttl)*time.Second
	if off < -early || off > late {
		return f
	}
	return strings.Replace(f, m[1], "TIME", 1)
}

// headers renders headers in a fixed order, without those that say nothing
// about v2: Date, ETag, which etcd hasn't, and how the body is framed, which the reader has checked.
func (n normaliser) headers(h head, framing bool) []string {
	var lines []string
	for _, line := range h.header {
		name, _, _ := strings.Cut(line, ":")
		if name == "Date" || name == "ETag" || !framing && (name == "Content-Length" || name == "Transfer-Encoding") {
			continue
		}
		lines = append(lines, n.headerText(line))
	}
	slices.Sort(lines)
	return lines
}

func (n normaliser) headerText(s string) string {
	s = varyingHeaders.ReplaceAllString(s, "$1: N")
	s = dateHeader.ReplaceAllString(s, "Date: DATE")
	return n.words.Replace(s)
}

// same compares a recorded answer with a new one. A ttl counts down between
// two requests, so on a busy machine it may differ; a missing one is 0.
func same(want, got []string) bool {
	const slack = 3
	return slices.EqualFunc(want, got, func(want, got string) bool {
		if want == got {
			return true
		}
		if ttlField.ReplaceAllString(want, "") != ttlField.ReplaceAllString(got, "") {
			return false
		}
		wants, gots := ttlField.FindAllStringSubmatch(want, -1), ttlField.FindAllStringSubmatch(got, -1)
		for i, w := range wants {
			a, _ := strconv.Atoi(w[1])
			b, _ := strconv.Atoi(gots[i][1])
			if a-b > slack || b-a > slack || gots[i][1] == "0" {
				return false
			}
		}
		return true
	})
}
