package actors

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"copse/actors/mirror"
	"copse/actors/source"
	"copse/statemachine"
	changes "copse/statemachine/mirror"
	"copse/statemachine/tree"
)

// Founding describes a cluster at its founding.
type Founding struct {
	// Members are those known when the data directory was created: the founders, or
	// those that a joining member learned.
	Members []tree.Member
	// Sources are the URLs of the etcd that the cluster is to mirror; none: it is nobody's mirror.
	Sources []string
}

// begin is the change that makes a cluster a mirror, or empty.
func (f Founding) begin() string {
	if len(f.Sources) == 0 {
		return ""
	}
	c := changes.Change{Kind: changes.Begin, Sources: f.Sources}
	return string(c.Append(nil))
}

// sourceOf asks the source of a new mirror for its cluster id and position.
func sourceOf(ctx context.Context, urls []string, security *tls.Config) (source.Position, error) {
	c, err := source.New(urls, security)
	if err != nil {
		return source.Position{}, err
	}
	defer c.Close()
	var at source.Position
	for range urls {
		if at, err = c.At(ctx, "/"); err == nil {
			break
		}
	}
	if err == nil {
		var enabled bool
		if enabled, err = c.AuthEnabled(ctx); enabled {
			err = source.ErrUnauthorized
		}
	}
	if err != nil {
		err = fmt.Errorf("--mirror-from=%s: %w", strings.Join(urls, ","), err)
	}
	return at, err
}

// mirrored has the parts of a member that work if its cluster is a mirror.
type mirrored struct {
	sources  [2]*source.Client // of the gate and of the follower, which has its own connections
	gate     *mirror.Gate
	follower *mirror.Follower
	known    atomic.Bool // the sources have their URLs
}

// errMirrorSharded can't happen while the settings refuse it.
var errMirrorSharded = errors.New("a mirror has one shard")

// openMirror makes the gate and the follower. With several shards there are none.
func (n *Member) openMirror() error {
	r := n.router
	if n.sharded != nil {
		if len(n.o.Sources) > 0 {
			return errMirrorSharded
		}
		return nil
	}
	p := n.parts[0]
	m := &mirrored{}
	for i := range m.sources {
		var err error
		if m.sources[i], err = source.New(nil, n.o.SourceTLS); err != nil {
			return err
		}
	}
	m.gate = mirror.NewGate(n.machine, m.sources[0], n.id.ClusterID, p.actor.Do, r.timeout)
	m.follower = mirror.NewFollower(mirror.Options{
		Store: n.machine, Changed: n.machine.MirrorChanged(), Source: m.sources[1], ClusterID: n.id.ClusterID, Propose: p.actor.Do,
		Leads: func() bool { return n.host.Leads(p.id) && !n.leaving.Load() }, Gate: m.gate, Peers: n.mirrorPeers,
		Log: n.o.Logger.With("component", "mirror"),
	})
	r.mirror = m
	m.learn(n.machine)
	return nil
}

// close ends the connections. Nobody asks any more.
func (m *mirrored) close() {
	for _, c := range m.sources {
		c.Close()
	}
}

// learn gives the sources their URLs, once they are known.
func (m *mirrored) learn(of *statemachine.Machine) {
	if s := of.Mirror(); s.On && !m.known.Load() {
		m.known.Store(m.sources[0].Use(s.Sources) == nil && m.sources[1].Use(s.Sources) == nil)
	}
}

// applied tells the gate that the replica has applied something.
func (n *Member) applied() {
	if r := n.router; r != nil && r.mirror != nil {
		r.mirror.learn(n.machine)
		r.mirror.gate.Applied()
	}
}

// unexpiring has the expirations of a store. A mirror has none of its own: the source says what expires.
type unexpiring struct{ *statemachine.Machine }

// Clock implements shard.Expirations: a mirror has none, so that nothing is submitted to tell the time.
func (u unexpiring) Clock() statemachine.Heard {
	if u.Mirror().On {
		return statemachine.Heard{}
	}
	return u.Machine.Clock()
}

// NextExpiry implements shard.Expirations. A mirror is looked at again soon, since it may end.
func (u unexpiring) NextExpiry() (at int64, ok bool, err error) {
	if u.Mirror().On {
		return time.Now().Add(time.Hour).UnixNano(), true, nil
	}
	return u.Machine.NextExpiry()
}

// shownTerm is raft's term as clients see it. A mirror shows its source's, since clients may still come from
// there, and go back.
func (n *Member) shownTerm(raft uint64) uint64 {
	if s := n.machine.Mirror(); s.On {
		return s.Term
	}
	return n.machine.Membership().TermBase + raft
}

// follows returns what passes requests on, or nil if the cluster is no mirror.
func (r *Router) follows() *mirror.Gate {
	if r.mirror == nil || !r.member.machine.Mirror().On {
		return nil
	}
	return r.mirror.gate
}

// doAtSource has the source carry out c; own as in mirror.Gate.
func (r *Router) doAtSource(g *mirror.Gate, c *tree.Command) (reply tree.Reply, own bool) {
	if err := sourceRefusal(c); err != nil {
		return tree.Reply{Err: err}, false
	}
	reply, own = g.Do(c, c.Asked.Authorization)
	if reply.Err == nil {
		st := r.State()
		reply.State.RaftIndex, reply.State.RaftTerm = st.RaftIndex, st.RaftTerm
	}
	return reply, own
}

// errNotOfSource is the error of a quorum read for which the source's API has no form.
var errNotOfSource = errors.New("until a mirror is promoted its source answers quorum reads, which knows none with these parameters")

// getAtSource answers a quorum read; own as in mirror.Gate.
func (r *Router) getAtSource(g *mirror.Gate, dst []byte, q *tree.Query) (out []byte, rest tree.Rest, st tree.State, failed *tree.Error, own bool) {
	out, rest, at, failed, own := g.Get(dst, q, q.Authorization)
	st = r.State()
	st.Index = at
	return out, rest, st, failed, own
}

// refilled reports whether what was read since the mirror was s may be half of a whole read.
func (r *Router) refilled(s *changes.State) bool {
	now := r.member.machine.Mirror()
	return now != s && (now.Fill != s.Fill || now.Compared != s.Compared)
}

// mirrorRefusal says why a mirror can't be read now, if it is one.
func (r *Router) mirrorRefusal() *tree.Error {
	if g := r.follows(); g != nil {
		return g.Refusal(r.member.machine.Mirror())
	}
	return nil
}

// mirrorCall is a call to another member about the mirror, of which one field is set.
type mirrorCall struct {
	Passed  *uint64           `json:"passed,omitempty"`
	Promote *mirror.Promotion `json:"promote,omitempty"`
	Status  bool              `json:"status,omitempty"`
}

// mirrorPeers are the other members.
func (n *Member) mirrorPeers() (list []mirror.Peer) {
	for _, m := range n.machine.Membership().Members {
		if m.ID == n.self() {
			continue
		}
		list = append(list, mirror.Peer{Member: m.ID, Passed: func(ctx context.Context, from uint64) (p mirror.Passed, err error) {
			err = n.callMirror(ctx, m.ID, mirrorCall{Passed: &from}, &p)
			return p, err
		}})
	}
	return list
}

func (n *Member) callMirror(ctx context.Context, member uint64, c mirrorCall, to any) error {
	question, err := json.Marshal(c)
	if err != nil {
		return err
	}
	answer, err := n.link.Call(ctx, member, callMirror, question)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, to)
}

// answerMirror serves callMirror.
func (n *Member) answerMirror(ctx context.Context, question []byte) ([]byte, error) {
	var c mirrorCall
	if !n.opened.Load() || n.router.mirror == nil {
		return nil, errors.New("this member is starting, or no mirror")
	}
	if err := json.Unmarshal(question, &c); err != nil {
		return nil, err
	}
	m := n.router.mirror
	switch {
	case c.Passed != nil:
		return json.Marshal(m.gate.Passed(*c.Passed))
	case c.Promote != nil:
		return json.Marshal(n.promote(ctx, *c.Promote))
	default:
		return json.Marshal(m.follower.Status(n.self()))
	}
}

// promoted is the outcome of a promotion, as members tell it.
type promoted struct {
	mirror.Promoted
	Error string `json:"error,omitempty"`
}

func (n *Member) promote(ctx context.Context, p mirror.Promotion) (out promoted) {
	done, err := n.router.mirror.follower.Promote(ctx, p)
	if out.Promoted = done; err != nil {
		out.Error = err.Error()
	}
	return out
}

// Limits of what an operator asks for.
const (
	mirrorCallLimit = 2 * time.Second
	promoteLimit    = time.Minute // beside the hold
)

// MirrorStatus returns, as JSON, what the member that follows knows of the source.
func (r *Router) MirrorStatus() ([]byte, *tree.Error) {
	if r.mirror == nil {
		return []byte("{\"mirror\":false}\n"), nil
	}
	n := r.member
	status := r.mirror.follower.Status(n.self())
	if lead := r.host.Leader(orderShard).Member; status.Mirror && lead != n.self() {
		ctx, cancel := context.WithTimeout(context.Background(), mirrorCallLimit)
		defer cancel()
		status = mirror.Status{}
		if err := n.callMirror(ctx, lead, mirrorCall{Status: true}, &status); err != nil {
			return nil, tree.Unavailable(err)
		}
	}
	return jsonLine(status)
}

// Promote ends the mirror, and returns the outcome as JSON. If it is refused, refused says why.
func (r *Router) Promote(force bool, hold time.Duration, margin uint64) (done []byte, refused string, failed *tree.Error) {
	if r.mirror == nil {
		return nil, "this cluster is no mirror", nil
	}
	n := r.member
	p := mirror.Promotion{Force: force, Limit: hold, Margin: tree.Index(margin)}
	ctx, cancel := context.WithTimeout(context.Background(), hold+promoteLimit)
	defer cancel()
	var out promoted
	if lead := r.host.Leader(orderShard).Member; lead == n.self() || lead == 0 {
		out = n.promote(ctx, p)
	} else if err := n.callMirror(ctx, lead, mirrorCall{Promote: &p}, &out); err != nil {
		return nil, "", tree.Unavailable(err)
	}
	if out.Error != "" {
		return nil, out.Error, nil
	}
	done, failed = jsonLine(out.Promoted)
	return done, "", failed
}

func jsonLine(v any) ([]byte, *tree.Error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, tree.Unavailable(err)
	}
	return append(line, '\n'), nil
}
