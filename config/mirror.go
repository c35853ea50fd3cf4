package config

import (
	"time"
)

// Mirror has the options of copse mirror promote.
type Mirror struct {
	Force       bool
	HoldLimit   time.Duration
	IndexMargin int
}

// mirrorCommands are those about a cluster that follows a live etcd.
func mirrorCommands() []Command {
	return []Command{
		{Name: "mirror status", Settings: true, options: mirrorOptions(showOptions()...),
			Summary: "Print how a mirror follows its source: exit code 0 if it lags by nothing.",
			Details: `A cluster that was started with mirror-from follows a live etcd. This asks any
member: how far it lags, in events and in milliseconds; when all was last compared
and what differed; and which clients still write to the source directly, by
top-level key. Finds the server, and gives it root's password, as copse backup
does. The exit code is 1 if the mirror lags, can't reach its source, or is none.`},
		{Name: "mirror promote", Settings: true, options: mirrorOptions(promoteOptions()...),
			Summary: "Make a mirror a cluster of its own, which takes writes itself.",
			Details: `Holds writes, reads the whole source once more, corrects what differs, and takes
over: one step, which is done or not, whatever fails. If the source doesn't stand
still within hold-limit, writes go on as before, and the exit code is 1. Refused
while the mirror can't follow, or if clients have written to the source directly
within the last 30 s.

Stop the source's client port at once: etcd v2 has no read-only switch, and what a
client writes there afterwards is lost. A write that was under way may have been
carried out or not, as after any time-out. Hidden nodes that nobody names and
nobody touched, users, roles and passwords are not taken over, and watches from an
index that the window doesn't reach get errorCode 401. There is no way back with
the same indexes. While auth is off, it has to be run on a member's machine.`},
	}
}

func mirrorOptions(more ...setting) []setting {
	return append([]setting{server(), passwordFile()}, more...)
}

func promoteOptions() []setting {
	at := func(c *Config) *Mirror { return &c.Options.Mirror }
	return []setting{
		{"despite-writers", "true|false", "Go on although clients have just written to the source directly, or its clock differs.", "",
			boolean(func(c *Config) *bool { return &at(c).Force })},
		{"hold-limit", "duration", "How long writes may be held, at most a minute.", "",
			duration(func(c *Config) *time.Duration { return &at(c).HoldLimit })},
		{"index-margin", "number", "How far above the source's index copse goes on.", "",
			count(func(c *Config) *int { return &at(c).IndexMargin })},
	}
}

const defaultHoldLimit = 3 * time.Second
