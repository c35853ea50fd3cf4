package main

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"copse/bench/peer"
)

// contender is a server under measurement: its name in tables, and what to start.
type contender struct {
	name string
	kind peer.Kind
}

// lineup is everything that is compared in one run. The last contender is the
// original that the others are compared with.
type lineup struct {
	kinds []peer.Kind
	built []contender // several copses, oldest first
}

const bothKinds = string(peer.Copse) + "," + string(peer.Etcd35)

func newLineup(kinds ...peer.Kind) lineup { return lineup{kinds: kinds} }

func (l *lineup) flags(flags *flag.FlagSet) {
	_ = l.setKinds(bothKinds)
	flags.Func("servers", "`KINDS` to measure, "+bothKinds+" by default; the last is what the others are compared with", l.setKinds)
	l.builds(flags)
}

// builds adds the flag for several copses, without that for other servers.
func (l *lineup) builds(flags *flag.FlagSet) {
	flags.Func("copse", "`NAME=PATH` of a copse to measure in place of this tree's; give it several times to compare several, oldest first", l.addBuilt)
}

func (l *lineup) setKinds(list string) error {
	l.kinds = nil
	for _, name := range strings.Split(list, ",") {
		l.kinds = append(l.kinds, peer.Kind(name))
	}
	return nil
}

func (l *lineup) addBuilt(text string) error {
	name, path, ok := strings.Cut(text, "=")
	if !ok || name == "" || path == "" {
		return fmt.Errorf("%q is not NAME=PATH", text)
	}
	if slices.ContainsFunc(l.all(), func(c contender) bool { return c.name == name && c.kind != peer.Copse }) {
		return fmt.Errorf("two servers can't both be called %q", name)
	}
	path, err := filepath.Abs(path) // each server runs in its own directory
	if err == nil {
		_, err = exec.LookPath(path)
	}
	if err != nil {
		return err
	}
	l.built = append(l.built, contender{name, peer.Built(path)})
	return nil
}

// all returns the contenders in order, with the given programs in place of this
// tree's copse.
func (l lineup) all() (all []contender) {
	for _, kind := range l.kinds {
		if kind == peer.Copse && len(l.built) > 0 {
			all = append(all, l.built...)
			continue
		}
		all = append(all, contender{string(kind), kind})
	}
	return all
}

// prefix is what a line of the contender's begins with: its name, if there are several.
func (l lineup) prefix(c contender) string {
	if len(l.built) == 0 {
		return ""
	}
	return c.name + ": "
}

// copses are the names of the contenders that are copse.
func (l lineup) copses() (names []string) {
	for _, c := range l.all() {
		if c.kind.IsCopse() {
			names = append(names, c.name)
		}
	}
	return names
}

// judged is the copse that the targets apply to, "" if there is none.
func (l lineup) judged() string {
	if names := l.copses(); len(names) > 0 {
		return names[len(names)-1]
	}
	return ""
}

// names are all that a table has lines for: servers, and then the limits.
func (l lineup) names() (names []string) {
	for _, c := range l.all() {
		names = append(names, c.name)
	}
	return append(names, bareName, raftName)
}

// pairs are the servers whose ratios a table shows.
func (l lineup) pairs() (all []pairing) {
	copses, etcd := l.copses(), string(peer.Etcd35)
	for _, name := range copses {
		all = append(all, pairing{name, etcd})
	}
	for _, name := range copses[min(1, len(copses)):] {
		all = append(all, pairing{name, copses[0]})
	}
	return append(all, pairing{l.judged(), bareName}, pairing{l.judged(), raftName})
}

type pairing struct{ over, under string }
