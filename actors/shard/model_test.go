package shard

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// TestModel has the core follow the courses of events that the model of the protocol
// prints (bench/model, which holds that they are up to date). A line belongs to one
// member's core of one shard. One with > is an input, and those with < which follow it,
// up to that core's next input, are all that the core is to do about it.
func TestModel(t *testing.T) {
	names, err := filepath.Glob("testdata/model/*.trace")
	if err != nil || len(names) == 0 {
		t.Fatal("no traces", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		runs := strings.Split(string(text), "\n# spin ")
		for _, run := range runs[1:] {
			how, lines, _ := strings.Cut(run, "\n")
			seed, _, _ := strings.Cut(how, " ")
			t.Run(strings.TrimSuffix(filepath.Base(name), ".trace")+seed, func(t *testing.T) {
				follow(t, strings.Contains(how, "-DDENSE"), lines)
			})
		}
	}
}

// modelSlots is the model's SLOTS in its traces: what is in a log from above 4 times
// that many is a Close, from 0 a fence, and else a batch.
const modelSlots = 4

// moment is an input of one core, and what is to come of it.
type moment struct {
	member, shard int
	input         string
	want          []string
}

// moments sorts the lines of a trace by input.
func moments(t *testing.T, lines string) (all []*moment) {
	latest := map[[2]int]*moment{}
	for line := range strings.Lines(lines) {
		var member, shard int
		var arrow string
		if _, err := fmt.Sscan(line, &member, &shard, &arrow); err != nil {
			all = append(all, &moment{input: strings.TrimSpace(line)}) // log: what all members will apply
			continue
		}
		_, what, _ := strings.Cut(strings.TrimSpace(line), arrow+" ")
		at := [2]int{member, shard}
		if arrow == ">" {
			latest[at] = &moment{member: member, shard: shard, input: what}
			all = append(all, latest[at])
			continue
		}
		if latest[at] == nil {
			t.Fatalf("nothing leads to %q", line)
		}
		latest[at].want = append(latest[at].want, what)
	}
	return all
}

// follower is a core in the model's world. The model counts only the submissions that
// go to another member, and it names a batch by the slot that it was in.
type follower struct {
	core    *Core
	self    uint64
	now     time.Time
	lead    Lead
	applied Applied // as far as it goes on: Epoch, Handed, Settled
	pos     int     // in the log
	asked   uint64
	sent    []Submission      // to other members: the model's number n is at n-1
	batches map[string]uint64 // numbers, by epoch and slot
	cmds    map[uint64][]byte // by number
	unnamed []Proposal        // whose slots aren't known yet
}

const modelPatience = time.Hour

func follow(t *testing.T, dense bool, lines string) {
	cores := [2][2]*follower{}
	for m := range cores {
		for s := range cores[m] {
			f := &follower{self: uint64(m + 1), now: time.Unix(1, 0), batches: map[string]uint64{}, cmds: map[uint64][]byte{}}
			f.core = NewCore(Options{Self: f.self, Nonce: f.self, Slot: s, Sharded: !dense, Patience: modelPatience})
			f.lead = Lead{Member: uint64(s + 1), Term: 1}
			f.step(Input{})
			f.step(Input{Applied: Applied{Epoch: 1, Batches: []statemachine.BatchID{{Epoch: 1, Number: 1}}}}) // its fence
			cores[m][s] = f
		}
	}
	logs := [2][]logged{}
	for _, at := range moments(t, lines) {
		var s, from, epoch int
		if n, _ := fmt.Sscanf(at.input, "log %d: from %d in %d,", &s, &from, &epoch); n == 3 {
			logs[s] = append(logs[s], find(t, &cores, s, from, epoch))
			continue
		}
		f, other := cores[at.member][at.shard], cores[1-at.member][at.shard]
		want := combined(at.want)
		got := f.do(f.input(t, at, other, logs[at.shard]), other, want)
		if !slices.Equal(got, want) {
			t.Fatalf("member %d, shard %d, after %q:\nthe core does  %q\nthe model does %q", at.member, at.shard, at.input, got, want)
		}
		f.name(at.want)
	}
}

// combined brings the model's effects into an order that means nothing, refusals as one.
func combined(effects []string) (all []string) {
	refused := 0
	for _, e := range effects {
		var mask int
		if _, err := fmt.Sscanf(e, "refuse %d", &mask); err == nil {
			refused |= mask
			continue
		}
		var epoch, slot, writes, first, last int
		if n, _ := fmt.Sscanf(e, "propose %d %d %d %d %d", &epoch, &slot, &writes, &first, &last); n == 5 {
			e = fmt.Sprintf("propose %d writes %d in %d-%d", epoch, writes, first, last)
		}
		all = append(all, e)
	}
	if refused != 0 {
		all = append(all, fmt.Sprintf("refuse %d", refused))
	}
	slices.Sort(all)
	return all
}

// do steps the core, and on in time for as long as it doesn't do all that is wanted:
// the model knows no pauses.
func (f *follower) do(in Input, other *follower, want []string) (got []string) {
	if f.lead.Member == f.self {
		f.now = f.now.Add(retryPauseLimit) // what was refused waits no longer
	}
	got = f.describe(f.step(in), other)
	for _, pause := range []time.Duration{0, gatherTime, retryPause, retryPauseLimit, retryPauseLimit} {
		if len(got) >= len(want) {
			break
		}
		f.now = f.now.Add(pause)
		got = append(got, f.describe(f.step(Input{}), other)...)
	}
	slices.Sort(got)
	return got
}

func (f *follower) step(in Input) *Effects {
	in.Lead = f.lead
	in.Applied.Epoch = max(in.Applied.Epoch, f.applied.Epoch)
	in.Applied.Handed = max(in.Applied.Handed, f.applied.Handed)
	in.Applied.Settled = max(in.Applied.Settled, f.applied.Settled)
	f.applied = Applied{Epoch: in.Applied.Epoch, Handed: in.Applied.Handed, Settled: in.Applied.Settled}
	f.now = f.now.Add(time.Microsecond)
	return f.core.Step(f.now, in)
}

// input is what the core is told.
func (f *follower) input(t *testing.T, at *moment, other *follower, log []logged) (in Input) {
	word, rest, _ := strings.Cut(at.input, " ")
	var a, b, c, d, e int
	fmt.Sscan(rest, &a, &b, &c, &d, &e)
	switch word {
	case "lead":
		f.lead = Lead{Member: uint64(a + 1), Term: uint64(b)}
	case "write":
		command := &tree.Command{Op: tree.OpSet, Key: writeKey(a), Value: []byte("v")}
		in.Writes = []*Write{{Command: command, Deadline: time.Unix(1, 0).AddDate(1, 0, 0)}}
	case "submission":
		in.Submissions = []Submission{other.sent[a-1]}
	case "refusals":
		for n := range f.sent {
			if a&(1<<(n+1)) != 0 {
				number := f.sent[n].ID.Number
				in.Refusals = append(in.Refusals, Refusal{To: f.self, Nonce: f.self, First: number, Last: number})
			}
		}
	case "handed":
		in.Applied.Handed = tree.Index(b)
		if c != 0 {
			id := tree.RequestID{Replica: f.self, Nonce: f.self, Number: f.asked}
			in.Applied.Grants = []tree.Grant{{ID: id, Slot: at.shard, Range: tree.Range{First: tree.Index(a), Last: tree.Index(b)}}}
		}
	case "asklost":
		in.Applied.AskLost = true
	case "applied":
		in.Applied = log[f.pos].applied(f.self, e != 0)
		f.pos++
		in.Applied.Epoch, in.Applied.Settled = uint64(a), tree.Index(b)
	case "jumped":
		f.pos = len(log)
		in.Applied = Applied{Jumped: true, Epoch: uint64(a), Settled: tree.Index(b)}
	case "dropped":
		in.Dropped = []uint64{f.batches[fmt.Sprint(a, b)]}
	case "overdue":
		f.now = f.now.Add(modelPatience)
	default:
		t.Fatalf("what is %q?", at.input)
	}
	return in
}

// logged is a batch in the log of a shard.
type logged struct {
	id  statemachine.BatchID
	cmd []byte
}

// find returns the batch that the log has just taken from a slot.
func find(t *testing.T, cores *[2][2]*follower, shard, from, epoch int) logged {
	member, slot := (shard+epoch+1)%2, fmt.Sprint(epoch, from-1) // who leads in the epoch
	switch {
	case from == 0:
		slot = fmt.Sprint(epoch, "fence")
	case from > 4*modelSlots:
		slot = fmt.Sprint(epoch, "close")
	}
	f := cores[member][shard]
	number, known := f.batches[slot]
	if !known {
		t.Fatalf("member %d has proposed no batch %s", member, slot)
	}
	return logged{statemachine.BatchID{Epoch: uint64(epoch), Number: number}, f.cmds[number]}
}

// applied is what a member's replica tells of it.
func (l logged) applied(member uint64, stale bool) (a Applied) {
	a.Batches = []statemachine.BatchID{l.id}
	for _, id := range submissionsIn(l.cmd) {
		if id.Replica == member {
			a.Outcomes = append(a.Outcomes, statemachine.Outcome{ID: id, Stale: stale})
		}
	}
	return a
}

func submissionsIn(cmd []byte) (ids []tree.RequestID) {
	r, err := tree.ReadBatch(cmd)
	if err != nil {
		panic(err) // the core has made it
	}
	for more, err := r.NextSubmission(); more && err == nil; more, err = r.NextSubmission() {
		ids = append(ids, r.Submission)
		if err := r.Skip(); err != nil {
			panic(err)
		}
	}
	return ids
}

func writeKey(w int) string { return fmt.Sprintf("/write%d", w) }

// writesIn is the model's mask of the writes in encoded commands.
func writesIn(commands []byte) (mask int) {
	for w := range 4 {
		if bytes.Contains(commands, []byte(writeKey(w))) {
			mask |= 1 << w
		}
	}
	return mask
}

// describe says in the model's words what the core asks for.
func (f *follower) describe(out *Effects, other *follower) (all []string) {
	for _, s := range out.Submit {
		f.sent = append(f.sent, s)
		base := 1 + slices.IndexFunc(f.sent, func(sent Submission) bool { return sent.ID.Number == s.Base })
		all = append(all, fmt.Sprintf("submit %d %d %d %d", len(f.sent), base, s.Epoch, writesIn(s.Commands)))
	}
	refused := 0
	for _, r := range out.Refuse {
		for n, s := range other.sent {
			if s.ID.Number >= r.First && s.ID.Number <= r.Last {
				refused |= 1 << (n + 1)
			}
		}
	}
	if refused != 0 {
		all = append(all, fmt.Sprintf("refuse %d", refused))
	}
	if out.Ask != nil {
		f.asked = out.Ask.ID.Number
		all = append(all, fmt.Sprintf("ask %d", out.Ask.Count))
	}
	for _, p := range out.Propose {
		f.cmds[p.Number] = bytes.Clone(p.Cmd)
		what, named := proposal(p.Cmd)
		if named != "" {
			f.batches[named] = p.Number
		} else {
			f.unnamed = append(f.unnamed, Proposal{Number: p.Number, Cmd: f.cmds[p.Number]})
		}
		all = append(all, what)
	}
	answered, unknown := 0, 0
	for _, a := range out.Answers {
		for _, w := range a.Writes {
			switch {
			case a.Err == nil:
				answered |= writesIn([]byte(w.Command.Key))
			case errors.Is(a.Err, ErrLeaderLost):
				unknown |= writesIn([]byte(w.Command.Key))
			}
		}
	}
	if answered != 0 {
		all = append(all, fmt.Sprintf("answer %d", answered))
	}
	if unknown != 0 {
		all = append(all, fmt.Sprintf("unknown %d", unknown))
	}
	return all
}

// proposal describes a batch. What has no slot in the model has a name.
func proposal(cmd []byte) (what, name string) {
	r, err := tree.ReadBatch(cmd)
	if err != nil {
		return err.Error(), ""
	}
	if r.Submissions == 0 {
		return fmt.Sprintf("propose %d fence", r.Epoch), fmt.Sprint(r.Epoch, "fence")
	}
	var c tree.Command
	if more, err := r.NextSubmission(); more && err == nil {
		if ok, err := r.Next(&c); ok && err == nil && c.Op == tree.OpClose {
			return fmt.Sprintf("propose %d close %d", r.Epoch, c.PrevIndex), fmt.Sprint(r.Epoch, "close")
		}
	}
	return fmt.Sprintf("propose %d writes %d in %d-%d", r.Epoch, writesIn(cmd), r.Range.First, r.Range.Last), ""
}

// name gives the batches that the core has just proposed the slots that they have in
// the model.
func (f *follower) name(effects []string) {
	for _, e := range effects {
		var epoch, slot, writes, first, last int
		if n, _ := fmt.Sscanf(e, "propose %d %d %d %d %d", &epoch, &slot, &writes, &first, &last); n == 5 {
			i := slices.IndexFunc(f.unnamed, func(p Proposal) bool {
				what, _ := proposal(p.Cmd)
				return what == fmt.Sprintf("propose %d writes %d in %d-%d", epoch, writes, first, last)
			})
			f.batches[fmt.Sprint(epoch, slot)] = f.unnamed[i].Number
			f.unnamed = slices.Delete(f.unnamed, i, i+1)
		}
	}
}
