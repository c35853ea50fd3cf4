// Package model holds the index protocol of docs/SHARDS.md as a specification
// that the model checker spin goes through state by state: two data shards on
// two members, a few writes, and leaders that change, proposals that get lost,
// replicas that lag, snapshots and restarts between any two steps.
//
//	state.pml   bounds, and what there is
//	rules.pml   the rules, and the promises that they keep
//	index.pml   who does what, and when; what is asked of the end
//
// The test lets spin try every order of events in a dozen scenarios. It also
// breaks the rules one by one, and each time a promise has to fall: a rule that
// nothing depends on would not be needed, and a promise that can't be broken
// would promise nothing.
//
// It takes about a minute and a half of one processor. make model-big goes on
// from there: more writes and every kind of fault at once, in random order for as
// long as it is given (-minutes), remembering states as bits.
//
// It needs Debian's spin and gcc.
package model
