package tree

import (
	"cmp"
	"fmt"
	"slices"
)

// Membership lists the members of the cluster, as decided by the log of the first
// shard. It is immutable; every change makes a new one.
type Membership struct {
	Members []Member // sorted by ID
	// Removed are the ids of former members, sorted. None of them can be added
	// again: a member that returns gets a new id.
	Removed []uint64
	// Shards is the number of data shards, which never changes; 0 before the
	// cluster is founded.
	Shards int
	// TermBase is what is added to raft's term wherever a term is shown: a new generation of
	// the cluster begins with a new raft log, and the terms of that begin anew.
	TermBase uint64
}

// Founded reports whether the cluster has been founded. From then on it always has
// members.
func (ms *Membership) Founded() bool { return len(ms.Members) > 0 }

// Member returns the member with the id, and false if there is none.
func (ms *Membership) Member(id uint64) (Member, bool) {
	i, ok := findMember(ms.Members, id)
	if !ok {
		return Member{}, false
	}
	return ms.Members[i], true
}

// WasRemoved reports whether the id is that of a former member.
func (ms *Membership) WasRemoved(id uint64) bool {
	_, found := slices.BinarySearch(ms.Removed, id)
	return found
}

func findMember(members []Member, id uint64) (int, bool) {
	return slices.BinarySearchFunc(members, id, func(m Member, id uint64) int { return cmp.Compare(m.ID, id) })
}

// MemberCommand returns the command for op, which must be one that changes the
// membership, with the given members as its Value.
func MemberCommand(op Op, given ...Member) Command {
	return Command{Op: op, Key: "/", Value: appendMembers(nil, given)}
}

// ApplyMembership carries out c, a change of the membership, on ms; last is the latest
// index, for errors. It returns ms itself if nothing changes, and refused if c isn't
// allowed. err means that c can't be decoded, which no client can cause.
func ApplyMembership(ms *Membership, c *Command, last Index) (next *Membership, refused *Error, err error) {
	given, err := ReadMembers(c.Value)
	if err != nil {
		return ms, nil, err
	}
	a := changer{old: ms, last: last}
	if c.Op == OpFound || c.Op == OpMemberReplaceAll {
		next, refused = a.replace(c, given)
		return next, refused, nil
	}
	if len(given) != 1 {
		return ms, nil, fmt.Errorf("%w: %d members, want one", errMembers, len(given))
	}
	m := given[0]
	switch c.Op {
	case OpMemberAdd:
		next, refused = a.add(m)
	case OpMemberUpdate:
		next, refused = a.update(m)
	case OpMemberRemove:
		next, refused = a.remove(m.ID)
	case OpMemberPublish:
		next, refused = a.publish(m)
	default:
		return ms, nil, fmt.Errorf("%w: operation %d", errMembers, c.Op)
	}
	return next, refused, nil
}

// changer carries out one change of the membership.
type changer struct {
	old  *Membership
	last Index
}

func (a *changer) refuse(code Code, format string, args ...any) (*Membership, *Error) {
	return a.old, &Error{Code: code, Cause: fmt.Sprintf(format, args...), Index: a.last}
}

// replace makes given the only members. OpFound does so only once.
func (a *changer) replace(c *Command, given []Member) (*Membership, *Error) {
	if c.Op == OpFound && (a.old.Founded() || len(given) == 0) {
		return a.old, nil
	}
	if len(given) == 0 {
		return a.refuse(CodeQuorumLoss, "a cluster has at least one member")
	}
	next := &Membership{Shards: a.old.Shards, TermBase: a.old.TermBase}
	if next.Shards == 0 {
		next.Shards = min(max(1, c.Limit), MaxSlots)
	}
	for _, m := range given {
		if _, ok := findMember(next.Members, m.ID); ok {
			return a.refuse(CodeMemberExists, "%x", m.ID)
		}
		next.Members = withMember(next.Members, m)
	}
	next.Removed = slices.Clone(a.old.Removed)
	for _, m := range a.old.Members {
		next.Removed = append(next.Removed, m.ID)
	}
	slices.Sort(next.Removed)
	next.Removed = slices.DeleteFunc(next.Removed, func(id uint64) bool {
		_, stays := findMember(next.Members, id)
		return stays
	})
	if slices.EqualFunc(next.Members, a.old.Members, Member.equal) && slices.Equal(next.Removed, a.old.Removed) && next.Shards == a.old.Shards {
		return a.old, nil
	}
	return next, nil
}

func (a *changer) add(m Member) (*Membership, *Error) {
	if url, taken := a.taken(m); taken {
		return a.refuse(CodePeerURLExists, "%s", url)
	}
	if _, ok := a.old.Member(m.ID); ok {
		return a.refuse(CodeMemberExists, "%x", m.ID)
	}
	if a.old.WasRemoved(m.ID) {
		return a.refuse(CodeMemberRemoved, "%x", m.ID)
	}
	return a.with(Member{ID: m.ID, PeerURLs: m.PeerURLs}), nil
}

func (a *changer) update(given Member) (*Membership, *Error) {
	m, refused := a.find(given.ID)
	if refused != nil {
		return a.old, refused
	}
	if url, taken := a.taken(given); taken {
		return a.refuse(CodePeerURLExists, "%s", url)
	}
	m.PeerURLs = sorted(given.PeerURLs)
	return a.with(m), nil
}

func (a *changer) remove(id uint64) (*Membership, *Error) {
	if _, refused := a.find(id); refused != nil {
		return a.old, refused
	}
	if len(a.old.Members) == 1 {
		return a.refuse(CodeQuorumLoss, "%x is the last member", id)
	}
	next := &Membership{Removed: slices.Clone(a.old.Removed), Shards: a.old.Shards, TermBase: a.old.TermBase}
	for _, m := range a.old.Members {
		if m.ID != id {
			next.Members = append(next.Members, m)
		}
	}
	at, _ := slices.BinarySearch(next.Removed, id)
	next.Removed = slices.Insert(next.Removed, at, id)
	return next, nil
}

func (a *changer) publish(given Member) (*Membership, *Error) {
	m, refused := a.find(given.ID)
	if refused != nil {
		return a.old, refused
	}
	m.Name, m.ClientURLs = given.Name, given.ClientURLs
	return a.with(m), nil
}

// find returns the member to change.
func (a *changer) find(id uint64) (Member, *Error) {
	m, ok := a.old.Member(id)
	if ok {
		return m, nil
	}
	code := CodeMemberUnknown
	if a.old.WasRemoved(id) {
		code = CodeMemberRemoved
	}
	_, refused := a.refuse(code, "%x", id)
	return Member{}, refused
}

// taken returns a peer URL of m that belongs to another member.
func (a *changer) taken(m Member) (url string, taken bool) {
	for _, other := range a.old.Members {
		if other.ID == m.ID {
			continue
		}
		for _, url := range m.PeerURLs {
			if slices.Contains(other.PeerURLs, url) {
				return url, true
			}
		}
	}
	return "", false
}

// with returns the old membership with m added, or in place of the member with its
// id. If that changes nothing, it returns the old membership itself.
func (a *changer) with(m Member) *Membership {
	if old, ok := a.old.Member(m.ID); ok && old.equal(m) {
		return a.old
	}
	return &Membership{Members: withMember(a.old.Members, m), Removed: a.old.Removed, Shards: max(1, a.old.Shards), TermBase: a.old.TermBase}
}

// withMember returns a copy of members with m added or replaced, its peer URLs
// sorted.
func withMember(members []Member, m Member) []Member {
	m.PeerURLs = sorted(m.PeerURLs)
	at, found := findMember(members, m.ID)
	members = slices.Clone(members)
	if found {
		members[at] = m
		return members
	}
	return slices.Insert(members, at, m)
}

func sorted(urls []string) []string { return slices.Sorted(slices.Values(urls)) }

func (m Member) equal(o Member) bool {
	return m.ID == o.ID && m.Name == o.Name && slices.Equal(m.PeerURLs, o.PeerURLs) && slices.Equal(m.ClientURLs, o.ClientURLs)
}
