package compat

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/bench/peer"
)

// newcomerHost is the peer address of the member that a script may add: a
// loopback address that nothing else uses, with the first member's port.
func newcomerHost(s *peer.Server) string {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.PeerURL, "http://"))
	return net.JoinHostPort("127.0.0.2", port)
}

// join starts a second member of the first one's cluster, and waits until it
// serves. It must have been added.
func (p *player) join() error {
	first, own := p.server, "http://"+newcomerHost(p.server)
	args := append(serverArgs("", first.Kind),
		"--name=n2",
		"--listen-peer-urls="+own,
		"--initial-advertise-peer-urls="+own,
		"--initial-cluster="+first.Name+"="+first.PeerURL+",n2="+own,
		"--initial-cluster-state=existing",
	)
	args = append(args, peer.Sharded(first.Kind, p.shards)...)
	newcomer, err := peer.Launch(first.Kind, peer.Options{Args: args})
	if err != nil {
		return err
	}
	p.newcomer = newcomer
	p.normal = p.normal.with(newcomer.Address, "NEWCOMER-CLIENT")
	return nil
}

// memberFields are what identifies a member in an answer.
type memberFields struct {
	ID       string   `json:"id"`
	PeerURLs []string `json:"peerURLs"`
}

// learn gives the id of a member that has been added a word, if it is the one
// that v2 derives from its URLs and the second in which it was added.
func (p *player) learn(body string) {
	const slow = 30 * time.Second // etcd answers seconds later, if it is busy
	var m memberFields
	if json.Unmarshal([]byte(body), &m) != nil || m.ID == "" {
		return
	}
	urls := strings.Join(slices.Sorted(slices.Values(m.PeerURLs)), "")
	for now := time.Now(); time.Since(now) < slow; now = now.Add(-time.Second) {
		sum := sha1.Sum([]byte(urls + strconv.FormatInt(now.Unix(), 10)))
		if m.ID == strconv.FormatUint(binary.BigEndian.Uint64(sum[:8]), 16) {
			p.added++
			p.normal = p.normal.with(m.ID, fmt.Sprintf("ADDED-%d", p.added))
			return
		}
	}
}

// sortedMembers brings a list of members, which is in the order of their ids,
// into the order of the words for these. One that is in disorder stays so.
func (n normaliser) sortedMembers(body string) string {
	const head, tail = `{"members":[`, "]}\n"
	if !strings.HasPrefix(body, head) || !strings.HasSuffix(body, tail) {
		return body
	}
	var list struct {
		Members []json.RawMessage `json:"members"`
	}
	if json.Unmarshal([]byte(body), &list) != nil {
		return body
	}
	var members []string
	last := uint64(0)
	for _, raw := range list.Members {
		var m memberFields
		if json.Unmarshal(raw, &m) != nil {
			return body
		}
		id, err := strconv.ParseUint(m.ID, 16, 64)
		if err != nil || id <= last {
			return body
		}
		last = id
		members = append(members, n.words.Replace(string(raw)))
	}
	slices.Sort(members)
	return head + strings.Join(members, ",") + tail
}
