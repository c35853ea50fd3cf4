package cluster

import (
	"context"
	"log/slog"
	"time"
)

// member is another member's replica of a shard, which is replica i of this one.
type member struct {
	i  int
	id uint64
}

// settle finds out where the others stand, by their replies. It waits, for a while, for
// this member's replicas to come to where others were, in this round or an earlier one.
func (c *Comparer) settle(ctx context.Context, own []point, all replies) map[member]stance {
	stances := map[member]stance{}
	for id, list := range all {
		for i := range list {
			m, term := member{i, id}, uint64(0)
			if list[i].term != 0 {
				term = c.o.Term(uint64(i)+MembersShard, own[i].index)
			}
			var later bool
			stances[m], later = stanceOf(own[i], term, &list[i])
			if _, already := c.waiting[m]; stances[m].kind != silent {
				delete(c.waiting, m)
			} else if later && !already {
				c.waiting[m] = list[i].last
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, compareLimit)
	defer cancel()
	for len(c.waiting) > 0 {
		for m, at := range c.waiting {
			if c.o.Replicas[m.i].RaftIndex() < at.index {
				continue
			}
			if hash, known := c.o.Replicas[m.i].HashAt(at.index); known {
				stances[m] = compare(point{at.index, hash}, at.hash)
			}
			delete(c.waiting, m) // a snapshot may have taken the replica past that: the next round asks anew
		}
		select {
		case <-time.After(comparePause):
		case <-ctx.Done():
			return stances
		}
	}
	return stances
}

// undecidedLimit is how long a replica may be neither confirmed nor contradicted before
// that is worth a line in the log.
const undecidedLimit = time.Minute

// standing is what a Comparer knows of its replica of a shard from one round to the next.
type standing struct {
	since    time.Time // of the last round in which a majority had an opinion, or of the start
	told     bool      // that it has been undecided for too long
	good     uint64    // the last entry that a majority has confirmed
	seen     uint64    // the last entry applied, as long as replaced was what it is
	replaced uint64    // how often a snapshot had replaced the replica
}

// note takes over a round's verdict about a replica that had applied the entry at own, and
// reports whether the replica has been undecided for too long.
//
// A replica may be so far behind that nobody remembers the hash or the entry where it is;
// then a snapshot replaces it, and what it held before can't be compared any more.
func (s *standing) note(log *slog.Logger, r Replica, own uint64, is verdict) bool {
	replaced := r.Replaced()
	if replaced == s.replaced {
		s.seen = own
	}
	if is == undecided {
		if own > 0 && !s.told && time.Since(s.since) >= undecidedLimit {
			s.told = true
			log.Warn("it is unknown whether this member has the data of the majority: too few members answer, or its replica is too far behind", "since", s.since, "entry", own)
		}
		return s.told
	}
	if is == sound {
		if replaced != s.replaced && s.seen > s.good {
			log.Warn("a snapshot has replaced this member's replica before its last entries could be compared with the majority's; it has the data of the majority now", "from", s.good+1, "to", s.seen)
		} else if s.told {
			log.Info("it is known again whether this member has the data of the majority", "entry", own)
		}
		s.good, s.seen, s.replaced = own, own, replaced
	}
	s.since, s.told = time.Now(), false
	return false
}

// tell logs what is new.
func (c *Comparer) tell(now *findings) {
	before := c.found.Load()
	if now.wrong != "" {
		c.log.Error("this member stops to vote and to serve", "err", ErrDiffers, "why", now.wrong)
		return
	}
	for i, why := range now.shards {
		switch had := before.shards[i]; {
		case why != "" && had == "":
			c.log.Error("members hold different data, and it isn't known whose is right: stop writing, compare what they serve, and replace one of them", "shard", i+MembersShard, "why", why)
		case why == "" && had != "":
			c.log.Info("this member has the data of the majority", "shard", i+MembersShard)
		}
	}
}
