package etcddir

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"copse/statemachine/tree"
)

// Where etcd's tree has what.
const (
	keySpace           = "/1"
	clusterSpace       = "/0"
	versionKey         = "/0/version"
	membersKey         = "/0/members"
	removedKey         = "/0/removed_members/"
	attributesName     = "/attributes"
	raftAttributesName = "/raftAttributes"
	maxLearners        = 1
)

func memberKey(id uint64) string { return membersKey + "/" + strconv.FormatUint(id, 16) }

// attributes and raftAttributes are what etcd stores of a member. The field tags and their
// order are etcd's.
type attributes struct {
	Name       string   `json:"name,omitempty"`
	ClientURLs []string `json:"clientURLs,omitempty"`
}

type raftAttributes struct {
	PeerURLs  []string `json:"peerURLs"`
	IsLearner bool     `json:"isLearner,omitempty"`
}

// changeMembers carries out a change of the members as etcd does, which refuses some: then
// nothing changes, and the change takes no index.
func (r *replay) changeMembers(c change) error {
	var given struct {
		raftAttributes
		IsPromote bool `json:"isPromote"`
	}
	if c.kind != removeMember {
		if err := json.Unmarshal(c.context, &given); err != nil {
			return errForm
		}
	}
	key := memberKey(c.id)
	old, isMember := r.raftAttributes(key)
	_, wasRemoved := r.store.Get(removedKey + key[len(membersKey)+1:])
	promotes := given.IsPromote && (c.kind == addMember || c.kind == addLearner)
	adds := !given.IsPromote && (c.kind == addMember || c.kind == addLearner)
	switch {
	case wasRemoved, adds == isMember, promotes && !old.IsLearner:
		return nil
	case !promotes && c.kind != removeMember && r.inUse(key, given.PeerURLs):
		return nil
	case adds && given.IsLearner && r.learners() >= maxLearners:
		return nil
	case c.kind == removeMember:
		r.apply(tree.Command{Op: tree.OpDelete, Key: key, Dir: true, Recursive: true})
		r.apply(tree.Command{Op: tree.OpCreate, Key: removedKey + key[len(membersKey)+1:]})
		return nil
	case promotes:
		given.PeerURLs, given.IsLearner = old.PeerURLs, false
	case !adds:
		given.IsLearner = old.IsLearner
	}
	op := tree.OpUpdate
	if adds {
		op = tree.OpCreate
	}
	value, _ := json.Marshal(given.raftAttributes) // texts can be marshalled
	r.apply(tree.Command{Op: op, Key: key + raftAttributesName, Value: value})
	return nil
}

// publish carries out a request that sets a member's attributes. etcd makes nothing of it
// once the member was removed.
func (r *replay) publish(q *request) {
	key := strings.TrimSuffix(q.path, attributesName)
	if _, ok := r.raftAttributes(key); ok {
		r.apply(tree.Command{Op: tree.OpSet, Key: q.path, Value: []byte(q.value)})
	}
}

// raftAttributes returns what is stored of the member at key; ok is false if there is none.
func (r *replay) raftAttributes(key string) (a raftAttributes, ok bool) {
	n, ok := r.store.Get(key + raftAttributesName)
	if ok {
		_ = json.Unmarshal(n.Value, &a) // what etcd couldn't read, it didn't store
	}
	return a, ok
}

// inUse reports whether a member other than that at key has one of the peer URLs.
func (r *replay) inUse(key string, urls []string) bool {
	for other := range r.memberKeys() {
		a, _ := r.raftAttributes(other)
		if other != key && slices.ContainsFunc(urls, func(u string) bool { return slices.Contains(a.PeerURLs, u) }) {
			return true
		}
	}
	return false
}

func (r *replay) learners() (n int) {
	for key := range r.memberKeys() {
		if a, _ := r.raftAttributes(key); a.IsLearner {
			n++
		}
	}
	return n
}

// memberKeys yields the directories of the members.
func (r *replay) memberKeys() func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for n := range r.store.below(membersKey) {
			if n.Dir && tree.Parent(n.Key) == membersKey && !yield(n.Key) {
				return
			}
		}
	}
}

// members returns the members, by id.
func (r *replay) members() (list []tree.Member) {
	for key := range r.memberKeys() {
		id, err := strconv.ParseUint(key[len(membersKey)+1:], 16, 64)
		if err != nil {
			continue // no member of etcd's
		}
		raft, _ := r.raftAttributes(key)
		m := tree.Member{ID: id, PeerURLs: raft.PeerURLs}
		if n, ok := r.store.Get(key + attributesName); ok {
			var a attributes
			_ = json.Unmarshal(n.Value, &a) // as above
			m.Name, m.ClientURLs = a.Name, a.ClientURLs
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b tree.Member) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return list
}
