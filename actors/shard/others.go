package shard

import "copse/statemachine/inflight"

// What comes from other members.

// message is from another member: a submission, if that has a number, else a refusal.
type message struct {
	submission Submission
	refusal    Refusal
}

// messageMailboxLimit bounds how many messages of other members may wait. Each member has a
// bounded number of submissions under way, so this is far from being reached.
const messageMailboxLimit = 1024

// Submitted takes in a submission of another member. It never waits: what there is no memory for
// goes back to that member, which submits it again after a pause.
func (a *Actor) Submitted(s Submission) {
	full := len(s.Commands) >= largeWrite && a.o.InFlight.Full()
	if full || !a.messages.Offer(message{submission: s}) {
		a.o.Link.PostRefusal(a.o.Shard, Refusal{To: s.ID.Replica, Nonce: s.ID.Nonce, First: s.ID.Number, Last: s.ID.Number})
	}
}

// Refused takes in another member's refusal of this member's submissions. It never
// waits; if a refusal is lost, its writers wait until their deadline.
func (a *Actor) Refused(r Refusal) { a.messages.Offer(message{refusal: r}) }

// count tells InFlight what the core holds of other members' writes.
func (a *Actor) count(foreign int) {
	a.o.InFlight.Change(inflight.Peers, int64(foreign)-a.foreign)
	a.foreign = int64(foreign)
}

// Foreign is how many bytes of large submissions of other members wait here, or are under way.
func (c *Core) Foreign() (bytes int) {
	l := &c.leader
	if l.epoch == 0 {
		return 0
	}
	add := func(parts []*Submission) {
		for _, s := range parts {
			if s.ID.Replica != c.o.Self && len(s.Commands) >= largeWrite {
				bytes += len(s.Commands)
			}
		}
	}
	for _, waiting := range l.inbox {
		add(waiting)
	}
	if a := l.asks.asking; a != nil {
		add(a.parts)
	}
	for _, b := range l.batches {
		add(b.parts)
	}
	return bytes
}
