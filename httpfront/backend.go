package httpfront

import (
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// Backend is the rest of the server, as the front end sees it. All methods may be called
// concurrently.
type Backend interface {
	// Do proposes c and waits until it is applied on this member or has failed. It returns
	// shortly after the request timeout at the latest. Failures of raft are a Reply.Err with
	// CodeRaftInternal. c and its contents may be reused after Do has returned.
	Do(c *tree.Command) tree.Reply

	// Submit is Do for a caller that doesn't wait: notify is called with the outcome, once and perhaps
	// before Submit returns. It must not wait; c and its contents are in use until then. If Submit
	// returns false it has done nothing, and Do has to.
	Submit(c *tree.Command, notify func(tree.Reply)) bool

	// Get appends the answer to q, as v2 prints it with the newline, to dst. A long listing
	// comes in parts: rest, if not nil, yields the parts after out and must be closed; q.Key
	// is in use until then.
	Get(dst []byte, q tree.Query) (out []byte, rest tree.Rest, st tree.State, err *tree.Error)

	// GetCached is Get of what is in memory, and short. ok is false, and nothing has been done, if the
	// answer isn't, or has to wait for something.
	GetCached(dst []byte, q *tree.Query) (out []byte, st tree.State, err *tree.Error, ok bool)

	// Loads reports whether Load may help GetCached to answer q: it is a plain read, perhaps of a single
	// node, and what that needs isn't in memory.
	Loads(q *tree.Query) bool
	// Load brings what GetCached needs for q into memory, unless that is large. It may wait for the disk.
	Load(q *tree.Query)

	// Confirm is the wait of a q that is Confirmed, for a caller that doesn't wait: notify is called
	// when GetCached may answer q without that, or with the reason why not; otherwise as in Submit.
	Confirm(q *tree.Query, notify func(error)) bool

	// Backup returns the whole tree at one index, users and roles included, as a file that
	// comes in parts and must be closed. Unless stale is set, it has all that was acknowledged
	// before the call. st.Index is the file's.
	Backup(stale bool) (rest tree.Rest, st tree.State, err *tree.Error)

	// Watch registers w, or refuses it with CodeEventIndexClosed. Deliveries may start before
	// Watch returns. st is the state that the watch starts from: every later matching change
	// is delivered.
	Watch(w *tree.Watch) (st tree.State, err *tree.Error)
	// Unwatch removes w, if it hasn't been served yet. A delivery in progress may still
	// arrive.
	Unwatch(w *tree.Watch)

	// Told appends an index for each hub, by Watch.Hub, which Watch has set: all that the
	// hub's watches are to see up to there has been delivered to them.
	Told(dst []tree.Index) []tree.Index

	// State is the state of this member: indexes and term.
	State() tree.State
	// Stats are the counters of /v2/stats/store.
	Stats() tree.Stats
	// Cluster is this member's view of the cluster.
	Cluster() *tree.Cluster
	// Shards is this member's view of the shards.
	Shards() tree.ShardsStatus
	// Histories returns, as JSON, what the windows of events reach back to, with those of up to limit
	// top-level names after a key, which sees has to allow.
	Histories(after string, limit int, sees func(key string) bool) ([]byte, *tree.Error)
	// PeerStats is the raft traffic with the other members, in finite numbers.
	PeerStats() tree.PeerStats

	// AddMember adds a member, which is then to be started with these peer URLs; UpdateMember
	// changes peer URLs; RemoveMember removes a member for good. Errors have a code of the
	// membership or CodeRaftInternal. They return in time, as Do does.
	AddMember(peerURLs []string) (tree.Member, *tree.Error)
	UpdateMember(id uint64, peerURLs []string) *tree.Error
	RemoveMember(id uint64) *tree.Error

	// Auth is what this member knows about users and roles; never nil. It is one load, and
	// as new as whatever this member has answered: a change is there before its answer.
	Auth() *auth.State
	// AuthChanged receives a value after Auth has changed, or may have. Several changes may
	// send a single value. It has one reader.
	AuthChanged() <-chan struct{}
	// ChangeAuth proposes c and waits, as Do does, until it is applied on this member. What
	// the rules refuse is an outcome; the error has CodeRaftInternal.
	ChangeAuth(c *auth.Change) (auth.Outcome, *tree.Error)

	// MirrorStatus returns, as JSON, how the cluster follows its source, if it is a mirror. Promote ends
	// the mirror, and returns the outcome as JSON. If it is refused, refused says why.
	MirrorStatus() ([]byte, *tree.Error)
	Promote(force bool, hold time.Duration, margin uint64) (done []byte, refused string, err *tree.Error)

	// Healthy reports whether there is a leader and a quorum answers within a second.
	Healthy() bool
}
