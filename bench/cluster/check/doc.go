// Package check holds a cluster's history against what v2 promises. It knows
// nothing of the servers: the rules of the tree come from etcd's own v2store.
//
// Every acknowledged write names its index, so the history has one order, and
// needs no search:
//
//  1. Times. Who begins after index x was shown to anybody and goes through
//     the log gets at least x, a write more than x. No member ever shows less
//     than it has shown before, of index and term.
//  2. Replay. Changes are carried out on the oracle by index: an acknowledged
//     write at its own; what only watchers saw is traced to the write of
//     unknown outcome that it came from (values are unique, deletes are told by
//     key, kind and time), or is an expiry, which must be the one that is due.
//     An index that nobody saw can be a refresh of unknown outcome, if any node
//     was ever shown with that modifiedIndex; or the servers' own, of which
//     there may be only so many. Each answer must be the oracle's, errors and
//     prevNode included.
//  3. Reads. Each read, and each refusal, is carried out on the oracle at its
//     index. Reads on one connection match states that never go back.
//  4. Watches. Each saw all changes in its scope, once and in order, unless it
//     was truthfully told that the window has moved on. What was acknowledged
//     and no witness saw is lost.
//  5. The end. All members hold the same tree at the same index, and it is the
//     oracle's.
//
// Registers judges some keys a second time, by porcupine, which knows nothing
// of indexes.
package check
