package shard

import (
	"fmt"
	"strings"

	"copse/statemachine/tree"
)

// step makes the core take the step and returns its effects, one per line.
func (s *script) step() []string {
	if s.core == nil {
		s.t.Fatal("a step without a core")
	}
	var out *Effects
	if s.stop {
		out = s.core.Stop(ErrStopped)
		s.stop = false
	} else {
		out = s.core.Step(s.now, s.in)
	}
	lines := s.print(out)
	applied := s.in.Applied
	s.in = Input{Lead: s.in.Lead, Applied: Applied{Epoch: applied.Epoch, Handed: applied.Handed, Settled: applied.Settled}}
	return lines
}

func (s *script) print(out *Effects) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, a := range out.Answers {
		switch {
		case len(a.Writes) == 0:
		case a.Err != nil:
			say("answer %s: %v", names(a.Writes), a.Err)
		default:
			say("answer %s: as applied in submission %d", names(a.Writes), a.Outcome.ID.Number)
			data := a.Outcome.Data
			for _, w := range a.Writes {
				var reply uint64
				if reply, data = cutSimReply(data); reply != s.wanted[w] {
					say("%s gets the reply to another", name(w.Command))
				}
			}
		}
	}
	for i := range out.Submit {
		sub := &out.Submit[i]
		kind := ""
		if sub.Root {
			kind = ", root"
		}
		say("submit %d (base %d, epoch %d%s): %s", sub.ID.Number, sub.Base, sub.Epoch, kind, s.commands(sub.Commands, sub.Count))
	}
	for _, r := range out.Refuse {
		say("refuse %d-%d of member %d, nonce %d", r.First, r.Last, r.To, r.Nonce)
	}
	for _, p := range out.Propose {
		say("%s", s.proposal(p))
	}
	if a := out.Ask; a != nil {
		kind := ""
		if a.Root {
			kind = ", root"
		}
		say("ask %d: %d indexes for slot %d%s", a.ID.Number, a.Count, a.Slot, kind)
	}
	state := fmt.Sprintf("pending %d", s.core.Pending())
	if !s.core.Takes(s.now) {
		state += ", takes nothing"
	}
	if !s.core.Rested() {
		state += ", not rested"
	}
	if out.Wake > 0 {
		state += fmt.Sprintf(", wake in %v", out.Wake)
	}
	say("%s", state)
	return lines
}

func (s *script) proposal(p Proposal) string {
	b, err := tree.ReadBatch(p.Cmd)
	if err != nil || b.Number != p.Number {
		s.t.Fatalf("proposal %d: %+v, %v", p.Number, b, err)
	}
	line := fmt.Sprintf("propose %d (epoch %d", p.Number, b.Epoch)
	if b.Ordered {
		line += fmt.Sprintf(", indexes %d-%d", b.Range.First, b.Range.Last)
	}
	if b.Root {
		line += ", root"
	}
	if b.Staged {
		line += ", staged"
	}
	line += "):"
	writes := 0
	for {
		more, err := b.NextSubmission()
		if err != nil {
			s.t.Fatal(err)
		}
		if !more {
			break
		}
		var list []string
		for b.Len() > 0 {
			var c tree.Command
			if _, err := b.Next(&c); err != nil {
				s.t.Fatal(err)
			}
			list = append(list, name(&c))
		}
		if b.Submission.Replica != 0 {
			line += fmt.Sprintf(" %d/%d", b.Submission.Replica, b.Submission.Number)
			writes += len(list)
		}
		line += " " + short(list)
	}
	if b.Submissions == 0 {
		line += " empty"
	}
	if writes != p.Writes {
		s.t.Fatalf("%s: says that it has %d writes", line, p.Writes)
	}
	return line
}

func (s *script) commands(commands []byte, count int) string {
	if count == 0 {
		return "empty"
	}
	head := tree.AppendSubmission(tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Submissions: 1}), tree.RequestID{}, count)
	b, _ := tree.ReadBatch(append(head, commands...))
	_, _ = b.NextSubmission()
	var list []string
	for b.Len() > 0 {
		var c tree.Command
		if _, err := b.Next(&c); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, name(&c))
	}
	return short(list)
}

func names(writes []*Write) string {
	var list []string
	for _, w := range writes {
		list = append(list, name(w.Command))
	}
	return short(list)
}

func name(c *tree.Command) string {
	switch {
	case c.Op == tree.OpClose:
		return fmt.Sprintf("close up to %d", c.PrevIndex)
	case c.Op == tree.OpExpire:
		return fmt.Sprintf("expire:%d", c.Limit)
	case c.InRoot():
		return "root:" + string(c.Value)
	case c.Op == tree.OpStage:
		return "part:" + strings.TrimPrefix(c.Key, "/")
	default:
		return strings.TrimPrefix(c.Key, "/")
	}
}

// short prints a list, and only both ends of a long one.
func short(list []string) string {
	if len(list) > 6 {
		return fmt.Sprintf("%s..%s (%d)", list[0], list[len(list)-1], len(list))
	}
	return strings.Join(list, ",")
}
