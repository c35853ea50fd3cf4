package shard

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

var rewrite = flag.Bool("rewrite", false, "write what the transcripts in testdata print now into them")

// TestTranscripts plays the scripts in testdata to a core. Each block of a script is one
// step: the lines before ---- are its inputs (see [script.input]), the lines after it, up
// to an empty line, are all effects of the core.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *rewrite && !t.Failed() {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("%s is not what happens; with -rewrite it becomes\n%s", name, diff(string(text), got))
			}
		})
	}
}

// diff shows both texts from the first line that differs.
func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	from := max(0, i-12)
	return fmt.Sprintf("%s\n--- want:\n%s\n--- got:\n%s", strings.Join(w[from:i], "\n"),
		strings.Join(w[i:min(i+8, len(w))], "\n"), strings.Join(g[i:min(i+8, len(g))], "\n"))
}

// play returns the script with the effects that the core has now.
func play(t *testing.T, text string) string {
	var out []string
	s := newScript(t)
	skip := false
	for line := range strings.Lines(text) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case skip && line != "":
		case line == "----":
			out = append(out, line)
			out = append(out, s.step()...)
			skip = true
		default:
			if skip = false; line != "" && !strings.HasPrefix(line, "#") {
				s.line(line)
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// script is a core and the inputs of its next step.
type script struct {
	t     *testing.T
	core  *Core
	began time.Time
	now   time.Time
	in    Input // Lead, handed and settled carry over from step to step
	stop  bool

	wanted map[*Write]uint64 // the number of each write's reply
}

const scriptNonce = 7

func newScript(t *testing.T) *script {
	s := &script{t: t, began: time.Unix(1_000_000, 0), wanted: map[*Write]uint64{}}
	s.now = s.began
	return s
}

func (s *script) line(line string) {
	defer func() {
		if p := recover(); p != nil {
			s.t.Fatalf("%q: %v", line, p)
		}
	}()
	words := strings.Fields(line)
	s.input(words[0], words[1:])
}

// input reads one line:
//
//	core [sharded]                     a new core, on member 1, with a patience of 300ms
//	at 5ms                             the time since the script began
//	lead 2@5                           member 2 leads in term 5; 0@5: there is no leader
//	write a b [in=5s]                  see [script.writes]; the deadline is in 5s by default
//	submission 2/3 epoch=5 base=1 a b  the third submission of member 2
//	refusal 3-4 [nonce=8]              of this member's submissions
//	unsent 3                           the submission couldn't be sent
//	dropped 2                          raft dropped the batch
//	batch 5/2                          the replica here has applied batch 2 of epoch 5
//	outcome 3 [stale] [nonce=8]        the submission's outcome in that batch
//	epoch 5, settled 9, handed 9       the replicas' state
//	jumped, asklost
//	grant 1 4-6 [nonce=8]              the order shard has answered ask 1
//	pause, resume                      before and after a leadership transfer
//	stop                               stop the core instead of a step
func (s *script) input(what string, args []string) {
	if what != "core" && s.core == nil {
		panic("no core")
	}
	nonce := s.option(&args, "nonce", scriptNonce)
	switch a := &s.in.Applied; what {
	case "core":
		s.core = NewCore(Options{Self: 1, Nonce: scriptNonce, Slot: 1, Sharded: slices.Contains(args, "sharded"), Patience: 300 * time.Millisecond})
		s.in, s.began = Input{}, s.now
	case "at":
		d, err := time.ParseDuration(args[0])
		if err != nil || s.began.Add(d).Before(s.now) {
			panic("not a time to come")
		}
		s.now = s.began.Add(d)
	case "lead":
		pair := numbers(args[0], "@")
		s.in.Lead = Lead{pair[0], pair[1]}
	case "write":
		s.in.Writes = append(s.in.Writes, s.writes(args)...)
	case "submission":
		s.in.Submissions = append(s.in.Submissions, s.submission(args))
	case "refusal":
		pair := numbers(args[0], "-")
		s.in.Refusals = append(s.in.Refusals, Refusal{To: 1, Nonce: nonce, First: pair[0], Last: pair[1]})
	case "unsent":
		s.in.Unsent = append(s.in.Unsent, numbers(args[0], "-")...)
	case "dropped":
		s.in.Dropped = append(s.in.Dropped, numbers(args[0], "-")...)
	case "batch":
		pair := numbers(args[0], "/")
		a.Batches = append(a.Batches, statemachine.BatchID{Epoch: pair[0], Number: pair[1]})
	case "outcome":
		id := tree.RequestID{Replica: 1, Nonce: nonce, Number: numbers(args[0], "-")[0]}
		a.Outcomes = append(a.Outcomes, statemachine.Outcome{ID: id, Stale: slices.Contains(args, "stale"), Data: s.replies(id.Number)})
	case "epoch":
		a.Epoch = numbers(args[0], "-")[0]
	case "settled":
		a.Settled = tree.Index(numbers(args[0], "-")[0])
	case "handed":
		a.Handed = tree.Index(numbers(args[0], "-")[0])
	case "grant":
		pair := numbers(args[1], "-")
		a.Grants = append(a.Grants, tree.Grant{
			ID: tree.RequestID{Replica: 1, Nonce: nonce, Number: numbers(args[0], "-")[0]}, Slot: 1,
			Range: tree.Range{First: tree.Index(pair[0]), Last: tree.Index(pair[1])},
		})
		a.Handed = tree.Index(pair[1])
	case "jumped":
		a.Jumped = true
	case "asklost":
		a.AskLost = true
	case "pause":
		s.in.Pause = true
	case "resume":
		s.in.Resume = true
	case "stop":
		s.stop = true
	default:
		panic("unknown")
	}
}

// replies makes numbered replies to the writes of a submission.
func (s *script) replies(number uint64) (data []byte) {
	for _, sent := range s.core.origin.pending {
		if sent.number != number {
			continue
		}
		for i, w := range sent.writes {
			data = appendSimReply(data, uint64(i+1))
			if w != nil {
				s.wanted[w] = uint64(i + 1)
			}
		}
	}
	return data
}

// option removes name=value from the words and returns the value.
func (s *script) option(args *[]string, name string, otherwise uint64) uint64 {
	i := slices.IndexFunc(*args, func(arg string) bool { return strings.HasPrefix(arg, name+"=") })
	if i < 0 {
		return otherwise
	}
	value := strings.TrimPrefix((*args)[i], name+"=")
	*args = slices.Delete(slices.Clone(*args), i, i+1)
	return numbers(value, "-")[0]
}

func numbers(text, between string) []uint64 {
	var list []uint64
	for part := range strings.SplitSeq(text, between) {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			panic(err)
		}
		list = append(list, n)
	}
	return list
}

// writes makes writes: a sets /a; a*300 sets /a1 to /a300; a:700k sets a value of that
// size; part:a:256k is a part of one; root:a creates in order in the root; expire:9 expires up to 9 nodes.
func (s *script) writes(args []string) (list []*Write) {
	deadline := s.now.Add(5 * time.Second)
	for _, arg := range args {
		if in, ok := strings.CutPrefix(arg, "in="); ok {
			d, err := time.ParseDuration(in)
			if err != nil {
				panic(err)
			}
			deadline = s.now.Add(d)
		}
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "in=") {
			continue
		}
		name, times, many := strings.Cut(arg, "*")
		if !many {
			list = append(list, &Write{Command: command(name), Deadline: deadline})
			continue
		}
		for i := range numbers(times, "-")[0] {
			list = append(list, &Write{Command: command(fmt.Sprint(name, i+1)), Deadline: deadline})
		}
	}
	return list
}

func command(name string) *tree.Command {
	if value, ok := strings.CutPrefix(name, "root:"); ok {
		return &tree.Command{Op: tree.OpCreateInOrder, Key: "/", Value: []byte(value)}
	}
	if limit, ok := strings.CutPrefix(name, "expire:"); ok {
		return &tree.Command{Op: tree.OpExpire, Key: "/", Limit: int(numbers(limit, "-")[0])}
	}
	name, part := strings.CutPrefix(name, "part:")
	name, size, large := strings.Cut(name, ":")
	c := &tree.Command{Op: tree.OpSet, Key: "/" + name}
	if part {
		c.Op = tree.OpStage
	}
	if large {
		c.Value = make([]byte, numbers(strings.TrimSuffix(size, "k"), "-")[0]<<10)
	}
	return c
}

func (s *script) submission(args []string) Submission {
	epoch, base := s.option(&args, "epoch", s.in.Lead.Term), s.option(&args, "base", 1)
	id := numbers(args[0], "/")
	sub := Submission{ID: tree.RequestID{Replica: id[0], Nonce: 10 * id[0], Number: id[1]}, Epoch: epoch, Base: base}
	for _, w := range s.writes(args[1:]) {
		sub.Count++
		sub.Indexes += w.Command.Indexes()
		sub.Staged = sub.Staged || w.Command.Staged()
		sub.Root = w.Command.InRoot()
		sub.Deadline = w.Deadline
		sub.Commands = tree.AppendCommand(sub.Commands, w.Command)
	}
	return sub
}
