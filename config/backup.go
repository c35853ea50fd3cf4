package config

import (
	"fmt"
	"time"
)

// Restore has the options of copse restore.
type Restore struct {
	NewClusterID bool
	Resume       bool
	IfEmpty      bool // leave a directory with data alone
	// TTL is added to all expirations; negative: the time since the backup.
	TTL time.Duration
}

// backupCommands are those about the file of a backup.
func backupCommands() []Command {
	return []Command{
		{Name: "backup", Operands: "file|-", Settings: true, options: backupOptions(),
			Summary: "Save the whole tree of a running server to a file.",
			Details: `Asks any member, for the state of the whole cluster at one index: all keys, hidden
ones too, with their indexes and expirations, users, roles and password hashes.
The file gets its name only once it is on disk whole, and has been read again as
copse restore does; - is standard output. Finds the server as copse auth init
does. If auth is enabled, root's password goes to it, from password-file or the
variable COPSE_ROOT_PASSWORD. The exit code is 0 if the file is whole and verified, else 1.`},
		{Name: "restore", Operands: "file", Settings: true, options: restoreOptions(),
			Summary: "Make a data directory from a backup.",
			Details: `The data-dir must be empty. Takes the member from the settings: name,
initial-advertise-peer-urls, and initial-cluster if there are several, each of which
restores the same file. Then start the servers with the same settings. The cluster
keeps its id, is a new generation of which old members can't be part, and shows a
higher X-Raft-Term and, by bump-index, a higher X-Etcd-Index than it ever has;
watches from an index of the past get errorCode 401. The number of shards is the
backup's unless shards is set. If it fails, the directory is as good as empty.
The exit code is 0 if all was restored, 1 if not, 6 if the directory isn't empty.`},
		{Name: "export", Operands: "file|-", Settings: true,
			Summary: "Save the tree of a stopped server to a file, from its data directory.",
			Details: `Reads data-dir, and writes the same file as copse backup. What only the raft log
has is not in it: then the exit code is 6. Nothing is missing after a server was
stopped in good order.`},
		{Name: "verify", Operands: "file|-",
			Summary: "Read a backup as copse restore does: exit code 0 if it is whole, 1 if not."},
		{Name: "inspect", Operands: "file|-",
			Summary: "Print what the header of a backup says. It is not verified."},
		{Name: "diff", Operands: "file|url file|url", Settings: true, options: []setting{passwordFile()},
			Summary: "Compare two backups, or servers.",
			Details: `Prints each key, role or user that differs: - is only in the first, + only in the
second, ~ in both. The exit code is 0 if there are none, 1 if there are, 6 if one
can't be read.`},
	}
}

func backupOptions() []setting {
	return []setting{
		server(),
		passwordFile(),
		{"stale", "true|false", "Take what the server has, even without a leader.", "",
			boolean(func(c *Config) *bool { return &c.Options.Stale })},
		{"quiet", "true|false", "Print errors only.", "",
			boolean(func(c *Config) *bool { return &c.Options.Quiet })},
	}
}

func passwordFile() setting {
	return setting{"password-file", "path", "File with the password of root; newlines at its end don't count.", "",
		text(func(c *Config) *string { return &c.Options.PasswordFile })}
}

func restoreOptions() []setting {
	return []setting{
		{"new-cluster-id", "true|false", "Give the cluster a new id: for a copy that lives beside the original.", "",
			boolean(func(c *Config) *bool { return &c.Options.Restore.NewClusterID })},
		{"resume", "true|false", "Go on where the file of a copse import ends, with its events and without bump-index: etcd must have stopped for good, and the file never have been used.", "",
			boolean(func(c *Config) *bool { return &c.Options.Restore.Resume })},
		{"if-empty", "true|false", "If the directory has data already, do nothing, and exit with 0: for what runs before each start.", "",
			boolean(func(c *Config) *bool { return &c.Options.Restore.IfEmpty })},
		{"ttl", "absolute|extend|duration", "Let keys expire when they would have (absolute), or later by the time since the backup (extend) or by a duration.", "",
			bind(func(c *Config) *time.Duration { return &c.Options.Restore.TTL }, parseTTL, printTTL)},
	}
}

// sinceBackup stands for the time since a backup was made.
const sinceBackup = -1

func parseTTL(s string) (time.Duration, error) {
	switch s {
	case "absolute":
		return 0, nil
	case "extend":
		return sinceBackup, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is neither absolute nor extend, nor a duration such as 90m", s)
	}
	return d, nil
}

func printTTL(d time.Duration) string {
	switch d {
	case 0:
		return "absolute"
	case sinceBackup:
		return "extend"
	}
	return d.String()
}

// CheckRestore says what is wrong with the settings of a restore: what is extended up to now
// would differ from member to member.
func (c *Config) CheckRestore() error {
	if c.Options.Restore.TTL == sinceBackup && len(c.InitialCluster) > 1 {
		return fmt.Errorf("--ttl=extend is for one member; give several the same duration, such as --ttl=90m")
	}
	return nil
}
