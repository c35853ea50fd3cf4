// Package txn carries out several commands on the tree, or none of them.
//
// It owns [Txn], what a transaction is: compares, and operations that are commands of package
// tree, or copy and rename subtrees; its encoding in the Value of a command (codec.go); and
// [Rehearse], which finds out whether it succeeds, and as which commands. It doesn't own the
// store, the events or the reply: package statemachine carries out the commands that a rehearsal
// returns. It starts no goroutine and reads no clock.
//
// # The rules on one page
//
//   - All compares hold, and then all operations succeed, each on what those before it have left;
//     or nothing changes.
//   - Each operation has the meaning of the command by itself, and takes an index of its own. The
//     indexes follow each other, and so do the events.
//   - A copy is a create of each node, parents first; a rename is that and then one delete of
//     what was copied. Values and times to live stay, indexes don't.
//   - With several shards, all keys belong to one. An in-order create in the root, whose index
//     decides to which one it belongs, is not possible.
//   - What a transaction may take is bounded: operations and compares, nodes and bytes that are
//     copied, bytes of the events.
package txn
