package actors

import (
	"fmt"
	"slices"
	"strings"
)

// missing says, for an operator whose cluster has no leader, which members can't be reached
// and how far this one has come: the one whose log ends latest is the one to go on with,
// should the others be lost.
func (n *Member) missing() string {
	members := n.members()
	var away []string
	for _, m := range members {
		if m.ID != n.self() && n.host.Away(m.ID) {
			away = append(away, strings.TrimSpace(fmt.Sprintf("%s %x at %s", m.Name, m.ID, strings.Join(m.PeerURLs, ","))))
		}
	}
	text := fmt.Sprintf("%d of %d members can't be reached", len(away), len(members))
	if len(away) > 0 {
		text += ": " + strings.Join(away, ", ")
	}
	text += fmt.Sprintf("; here, the last index is %d", n.router.State().Index)
	for _, v := range n.groups() {
		index, term := n.host.LastEntry(v.id)
		text += fmt.Sprintf(", the log of shard %d ends at entry %d of term %d", v.id, index, term)
	}
	return text
}

// Summary is who leads, and how far this member has come.
func (n *Member) Summary() string {
	if why := n.comparer.Wrong(); why != "" {
		return "it neither votes nor serves: " + why
	}
	if err := n.CheckLeader(); err != nil {
		return err.Error()
	}
	leader := n.host.Leader(orderShard).Member
	who := fmt.Sprintf("%x leads", leader)
	if m, listed := n.machine.Membership().Member(leader); listed && m.Name != "" {
		who = fmt.Sprintf("%s (%x) leads", m.Name, leader)
	}
	st := n.router.State()
	return fmt.Sprintf("serving: %s, term %d, index %d", who, st.RaftTerm, st.Index)
}

// warnIfMoved tells an operator whose settings name other peer URLs than the cluster knows
// that nobody takes them over by itself: as with etcd, they count when a member is added.
func (n *Member) warnIfMoved() {
	urls := n.o.Peer.Advertised
	m, listed := n.machine.Membership().Member(n.self())
	if !listed || len(urls) == 0 || slices.ContainsFunc(m.PeerURLs, func(u string) bool { return slices.Contains(urls, u) }) {
		return
	}
	n.o.Logger.Warn("the other members look for this one at other peer URLs than its settings name; if it has moved, tell them",
		"component", "membership", "known", m.PeerURLs, "settings", urls,
		"command", fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"peerURLs":["%s"]}' %s/v2/members/%x`, strings.Join(urls, `","`), firstOr(m.ClientURLs, "http://127.0.0.1:2379"), m.ID))
}

func firstOr(list []string, standard string) string {
	if len(list) > 0 {
		return list[0]
	}
	return standard
}
