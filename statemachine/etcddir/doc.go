// Package etcddir reads the data directory of an etcd member that served the v2 API: a
// directory of etcd 2.2, 2.3, 3.4 or 3.5, whether the member runs or not, or one that
// "etcdctl backup" made.
//
// It owns the formats of etcd's log (*.wal) and snapshots (*.snap), and what etcd made of
// the entries of its log that isn't a rule of the key space: changes of members, the
// cluster's version, users and roles. The rules of the key space are those of
// tree.Apply, which carries out every request. It doesn't own what becomes of the result.
//
// It starts no goroutine, reads no clock, and writes nothing: it sees a directory through
// an fs.FS.
//
// # How a directory is read
//
//	*.wal   frames ─▶ records ─▶ entries      all of it is checked; entries are remembered by place
//	*.snap  JSON ─▶ nodes, recent events      of the newest one that the log knows
//	        entries behind it ─▶ requests ─▶ tree.Apply
//
// A sum over all records so far stands in each of them, so nothing in the log can be lost
// or changed unnoticed, except at its end. A last frame that was being written when the
// member stopped is left out: nobody was told of it. Damage anywhere else is a [Damage],
// which names the file and the offset.
//
// The whole log counts, not only what is known to be committed. After a crash, a write that was
// answered may lie behind the last commit that was written down.
//
// # Where etcd keeps things
//
//	/1                    the keys
//	/0/members/ID         raftAttributes, attributes (JSON)
//	/0/removed_members/ID
//	/0/version            of the cluster
//	/2                    users, roles, and whether auth is enabled (JSON)
//
// All of them are nodes of one tree with one index.
package etcddir
