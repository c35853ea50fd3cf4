// Package check compares a cluster's history with what v2 promises. It knows
// nothing about the servers: the rules of the tree come from etcd's own v2store,
// called the oracle here.
//
// Every acknowledged write names its index, so the history has a single order and
// the checker needs no search:
//
//  1. Times. A request through the log that begins after index x was shown to
//     anybody gets at least x, and a write more than x. No member ever shows a
//     lower index or term than before.
//  2. Replay. Changes are replayed on the oracle by index: an acknowledged
//     write at its own index; a change that only watchers saw is traced to the write
//     of unknown outcome that caused it (values are unique, deletes are identified by
//     key, kind and time), or is an expiry, which must be the one that is due.
//     An index that nobody saw can be a refresh of unknown outcome, if a node
//     was ever shown with that modifiedIndex or outlived its expiration, or the
//     servers' own, which are limited in number. Each answer must equal the
//     oracle's, errors and prevNode included. All tries of a request with an id
//     are one request, with one answer. A transaction is replayed as its writes, at
//     indexes that follow each other and after its compares; so one of unknown
//     outcome happened as a whole or not at all.
//  3. Reads. Each read, and each refusal, is repeated on the oracle at its
//     index, or behind it, but never in the middle of a transaction. Reads on one
//     connection match states that never go back. A refused transaction is tried on
//     an excerpt of the oracle.
//  4. Watches. Each saw all changes in its scope, once and in order, unless it
//     was correctly answered that the window has moved on, that of its name
//     included. An acknowledged write that no witness saw is lost.
//  5. The end. All members have the same tree at the same index, and it equals
//     the oracle's.
//
// Registers judges some keys a second time, with porcupine, which knows nothing
// about indexes. The package runs no goroutine.
package check
