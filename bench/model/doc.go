// Package model holds the rules of docs/SHARDS.md, for the path of a write and for
// indexes, as a specification that the model checker spin goes through state by state:
// two data shards on two members, a few writes, and leaders that change, messages and
// proposals that get lost or come late, replicas that lag, snapshots and restarts
// between any two steps. With -DDENSE it has one data shard, and no order shard.
//
//	state.pml   bounds, and what there is
//	shows.pml   what a member shows
//	actors.pml  what its actors do, in the words of actors/shard
//	rules.pml   what logs and replicas do
//	index.pml   who does what, and when; what is asked of the end
//
// The test lets spin try every order of events in 16 scenarios. It also
// breaks the rules one by one, and each time a promise has to fall: a rule that
// nothing depends on would not be needed, and a promise that can't be broken
// would promise nothing.
//
// It takes about a minute and a half of one processor. make model-big goes on
// from there: more writes and every kind of fault at once, in random order for as
// long as it is given (-minutes), remembering states as bits.
//
// The rules of the write path are written a second time in actors/shard, in Go. So
// that the two can't drift apart unnoticed, spin simulates some courses of events and
// prints what each actor takes in and does; those traces are in actors/shard/testdata/model,
// the core there has to follow them, and TestTraces here holds that they are what the
// model says now (-write makes them anew).
//
// It needs Debian's spin and gcc.
package model
