package check

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/verdict"

	"github.com/anishathalye/porcupine"
)

// registerStep is a request to one key as porcupine sees it: values in, values
// out, and no indexes.
type registerStep struct {
	kind      string // "get", "set" or "swap"
	old, new  string
	got       string // the value that a get showed; "" if nothing was there
	outcome   v2api.Outcome
	noSuchKey bool // a swap was refused for want of a key
}

// register is a cell with compare-and-swap, empty at first. A write of unknown
// outcome takes effect between its call and the first time that its value was seen.
// If the value was never seen it had no effect or, if the witnesses didn't see
// everything, may take effect at any time.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		have, s := state.(string), input.(registerStep)
		switch {
		case s.kind == "get":
			return s.got == have, have
		case s.kind == "set":
			return true, s.new
		case s.outcome == v2api.Unknown && have != s.old:
			return true, have
		case s.outcome == v2api.Refused:
			return (have == "") == s.noSuchKey && have != s.old, have
		}
		return have == s.old, s.new
	},
	DescribeOperation: func(input, _ any) string {
		s := input.(registerStep)
		switch s.kind {
		case "get":
			return fmt.Sprintf("get %q", s.got)
		case "set":
			return fmt.Sprintf("set %q: %v", s.new, s.outcome)
		}
		return fmt.Sprintf("swap %q for %q: %v", s.old, s.new, s.outcome)
	},
}

// RegisterDir is the directory below the root whose keys are registers.
const RegisterDir = "/registers"

// Registers judges the registers of a history with porcupine, each separately and
// within the time limit. The picture of a bad one is written to dir.
func Registers(h *history.History, dir string, limit time.Duration) (found []verdict.Violation, judged int) {
	byKey := map[string][]porcupine.Operation{}
	first, whole := firstShown(h)
	for _, op := range h.Ops {
		if step, ok := registerOf(h, op); ok {
			back := int64(op.Return)
			if op.Outcome == v2api.Unknown {
				// Each that may have happened at any time doubles the search.
				shown, known := first[op.Value]
				if back = math.MaxInt64; known {
					back = max(int64(shown), int64(op.Invoke)+1)
				} else if whole {
					continue
				}
			}
			byKey[op.Key] = append(byKey[op.Key], porcupine.Operation{Input: step, Call: int64(op.Invoke), Return: back})
		}
	}
	var book verdict.Book
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		ops := byKey[key]
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		result, info := porcupine.CheckOperationsVerbose(register, lanes(ops), limit)
		judged += len(ops)
		if result == porcupine.Ok {
			continue
		}
		kind := verdict.NotLinear
		if result == porcupine.Unknown {
			kind = verdict.Undecided
		}
		book.Complain(kind, "%s (%d operations)%s", key, len(ops), picture(info, dir, key))
	}
	return book.Found, judged
}

func registerOf(h *history.History, op *history.Op) (registerStep, bool) {
	if !strings.HasPrefix(op.Key, h.Root+RegisterDir+"/") || op.Outcome == v2api.NotSent {
		return registerStep{}, false
	}
	step := registerStep{outcome: op.Outcome, new: op.Value, old: op.PrevValue}
	switch {
	case op.Method == "GET" && (!op.Quorum || !op.Answered()):
		return registerStep{}, false
	case op.Method == "GET":
		step.kind = "get"
		if op.Event != nil {
			step.got = op.Event.Node.Value
		}
	case op.PrevValue == "":
		step.kind = "set"
	default:
		step.kind = "swap"
		step.noSuchKey = op.Fault != nil && op.Fault.Code == 100
	}
	return step, true
}

// lanes gives each operation a client that is free, for the picture.
func lanes(ops []porcupine.Operation) []porcupine.Operation {
	var free []int64
	for i := range ops {
		lane := slices.IndexFunc(free, func(until int64) bool { return until < ops[i].Call })
		if lane < 0 {
			lane = len(free)
			free = append(free, 0)
		}
		ops[i].ClientId, free[lane] = lane, ops[i].Return
	}
	return ops
}

func picture(info porcupine.LinearizationInfo, dir, key string) string {
	file := filepath.Join(dir, strings.ReplaceAll(strings.Trim(key, "/"), "/", "-")+".html")
	out, err := os.Create(file)
	if err != nil {
		return ": " + err.Error()
	}
	defer out.Close()
	if err := porcupine.Visualize(register, info, out); err != nil {
		return ": " + err.Error()
	}
	return ", drawn in " + file
}
