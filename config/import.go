package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Import has the options of copse import.
type Import struct {
	From          []url.URL
	Hidden        []string
	Format        string
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
	return Command{Name: "import", Operands: "[directory...|dump]", Settings: true, options: importOptions(),
		Summary: "Take over the data of an etcd, from its directory, over HTTP or from a dump.",
		Details: `Reads the data directory of a member of etcd 2.2, 2.3, 3.4 or 3.5, or one that
etcdctl backup made, and takes over what v2 clients see of it: keys with their indexes,
expirations and hidden nodes, the recent events, users, roles and password hashes,
the cluster's id and term. Give the directories of all members if you can: the one
that goes furthest is taken. The member may run; nothing is written to its
directory. Keys of the v3 API are not taken over.

With --from, reads a running etcd over HTTP, for those who can't reach its disk: stop
the clients that write first. Hidden nodes are taken over if they are named or have
changed lately, and passwords of users, except root's, not at all. With auth
enabled, root's password comes from password-file or the variable
COPSE_ROOT_PASSWORD.

A file, or - for standard input, is a dump in JSON: a flat list as etcd-dump makes
it, a nested map as etcdtool does, or etcd's own answer to a GET with recursive=true,
with its headers (curl -i) or without.

Makes data-dir, which must be empty, that of a cluster of one member, from the
settings as copse restore does. With --out it writes a file instead, from which
copse restore --resume makes each member of a cluster of several.

Prints what it found. The exit code is 0 if that was everything, 6 if something is
missing or data-dir has data already, 5 if the directory is damaged or the dump not in
its form, 2 if the directory isn't one of etcd's, 1 if the etcd can't be read.`}
}

func importOptions() []setting {
	at := func(c *Config) *Import { return &c.Options.Import }
	return []setting{
		{"from", "urls", "Client URLs of a running etcd, to read over HTTP in place of a directory. https is verified by trusted-ca-file or the system.", "",
			urls(func(c *Config) *[]url.URL { return &at(c).From })},
		{"hidden", "keys", "With from: keys below which hidden nodes are (a name begins with _), separated by commas. Listings don't show them.", "",
			bind(func(c *Config) *[]string { return &at(c).Hidden }, parseKeys, func(keys []string) string { return strings.Join(keys, ",") })},
		passwordFile(),
		{"format", "list|map|v2", "Form of a dump: flat list, nested map, or etcd's answer to a recursive GET.", "how it begins",
			choice("list|map|v2", func(c *Config) *string { return &at(c).Format })},
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

func parseKeys(text string) (keys []string, err error) {
	for key := range strings.SplitSeq(text, ",") {
		if key = strings.TrimSpace(key); !strings.HasPrefix(key, "/") {
			return nil, errors.New("must be keys, which begin with /, separated by commas")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil || id == 0 {
		return 0, errors.New("must be an id of up to 16 hexadecimal digits")
	}
	return id, nil
}
