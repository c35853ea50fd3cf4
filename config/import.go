package config

import (
	"errors"
	"strconv"
)

// Import has the options of copse import.
type Import struct {
	WALDir        string
	Out           string
	DryRun        bool
	TakeSound     bool
	CommittedOnly bool
	ClusterID     uint64
	IndexMargin   int
}

// defaultIndexMargin is more than the indexes that an etcd can have taken unnoticed. The event
// window, which is as wide as event-history, has to reach below it.
const defaultIndexMargin = 100

func importCommand() Command {
	return Command{Name: "import", Operands: "directory...", Settings: true, options: importOptions(),
		Summary: "Take over the data of an etcd: make a data directory, or a file, from etcd's.",
		Details: `Reads the data directory of a member of etcd 2.2, 2.3, 3.4 or 3.5, or one that
etcdctl backup made, and takes over what v2 clients see of it: keys with their indexes,
expirations and hidden nodes, the recent events, users, roles and password hashes,
the cluster's id and term. Give the directories of all members if you can: the one
that goes furthest is taken. The member may run; nothing is written to its
directory. Keys of the v3 API are not taken over.

Makes data-dir, which must be empty, that of a cluster of one member, from the
settings as copse restore does. With --out it writes a file instead, from which
copse restore --resume makes each member of a cluster of several.

Prints what it found. The exit code is 0 if that was everything, 6 if something is
missing or data-dir has data already, 5 if the directory is damaged, 2 if it isn't
one of etcd's.`}
}

func importOptions() []setting {
	at := func(c *Config) *Import { return &c.Options.Import }
	return []setting{
		{"out", "path", "File to write in place of a data directory. It must not exist.", "",
			text(func(c *Config) *string { return &at(c).Out })},
		{"dry-run", "true|false", "Only print what is there.", "",
			boolean(func(c *Config) *bool { return &at(c).DryRun })},
		{"etcd-wal-dir", "path", "Directory of etcd's log, if etcd had --wal-dir.", "inside the directory",
			text(func(c *Config) *string { return &at(c).WALDir })},
		{"take-what-is-sound", "true|false", "With a damaged directory: take what is before the damage.", "",
			boolean(func(c *Config) *bool { return &at(c).TakeSound })},
		{"committed-only", "true|false", "Leave out what isn't known to be committed, acknowledged writes among it.", "",
			boolean(func(c *Config) *bool { return &at(c).CommittedOnly })},
		{"cluster-id", "hex", "The cluster's id, as X-Etcd-Cluster-Id has it. A backup by etcdctl has lost it.", "the source's",
			bind(func(c *Config) *uint64 { return &at(c).ClusterID }, parseID, func(id uint64) string { return strconv.FormatUint(id, 16) })},
		{"index-margin", "number", "How far above the source's index copse goes on.", strconv.Itoa(defaultIndexMargin),
			count(func(c *Config) *int { return &at(c).IndexMargin })},
	}
}

func parseID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil || id == 0 {
		return 0, errors.New("must be an id of up to 16 hexadecimal digits")
	}
	return id, nil
}
