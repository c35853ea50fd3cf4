package cluster

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

// Fault is one thing that goes wrong.
type Fault struct {
	At   time.Duration // since the load began
	Kind string
	For  time.Duration // until it is mended
	// Pick chooses among the members that the fault may strike.
	Pick int
}

func (f Fault) String() string {
	return fmt.Sprintf("%v %s %v %d", f.At, f.Kind, f.For, f.Pick)
}

// Schedule is the list of a run's faults, in order of time.
type Schedule []Fault

func (s Schedule) String() string {
	var b strings.Builder
	for _, f := range s {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// rest is the time without faults between two faults.
const (
	restShortest = 500 * time.Millisecond
	restLongest  = 2500 * time.Millisecond
)

// NewSchedule draws faults from a seed until the length is used up. Each kind
// occurs once before any occurs again.
func NewSchedule(seed uint64, length time.Duration, kinds []string) Schedule {
	rng := rand.New(rand.NewPCG(seed, 2))
	var s Schedule
	var bag []string
	for at := restLongest; ; {
		if len(bag) == 0 {
			bag = slices.Clone(kinds)
			rng.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		kind := bag[0]
		bag = bag[1:]
		shortest, longest := faultKinds[kind].shortest, faultKinds[kind].longest
		f := Fault{At: at, Kind: kind, Pick: rng.IntN(100)}
		f.For = shortest + time.Duration(rng.Int64N(int64(longest-shortest+1)))
		f.At, f.For = f.At.Round(time.Millisecond), f.For.Round(time.Millisecond)
		if at += f.For; at > length {
			return s
		}
		s = append(s, f)
		at += restShortest + time.Duration(rng.Int64N(int64(restLongest-restShortest)))
	}
}

// Upgrading returns the schedule with an upgrade of each of three members in it, one of which
// goes back and forth, before the last.
func (s Schedule) Upgrading(length time.Duration) Schedule {
	changes := Schedule{{Kind: "upgrade", Pick: 0}, {Kind: "upgrade", Pick: 1}, {Kind: "downgrade", Pick: 1}, {Kind: "upgrade", Pick: 1}, {Kind: "upgrade", Pick: 2}}
	all := slices.Clone(s)
	for i, f := range changes {
		f.At = length * time.Duration(i+1) / time.Duration(len(changes)+2)
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return all
}

// ReadSchedule parses the output of Schedule.String; empty lines, and lines
// that begin with #, are ignored.
func ReadSchedule(file string) (Schedule, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s Schedule
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var f Fault
		var at, length string
		if _, err := fmt.Sscan(line, &at, &f.Kind, &length, &f.Pick); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n+1, err)
		}
		if f.At, err = time.ParseDuration(at); err == nil {
			f.For, err = time.ParseDuration(length)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n+1, err)
		}
		if _, known := faultKinds[f.Kind]; !known {
			return nil, fmt.Errorf("%s:%d: there is no fault %q", file, n+1, f.Kind)
		}
		if k := len(s); k > 0 && f.At < s[k-1].At {
			return nil, fmt.Errorf("%s:%d: the faults are not in order", file, n+1)
		}
		s = append(s, f)
	}
	return s, nil
}
