// Package model holds the index protocol of docs/SHARDS.md as a specification
// that the model checker spin goes through state by state: two data shards on
// two members, a few writes, and leaders that change, messages and proposals that
// get lost or come late, replicas that lag, snapshots and restarts between any two
// steps. With -DDENSE it has one data shard, and no order shard.
//
//	state.pml   bounds, and what there is
//	rules.pml   the rules, and the promises that they keep
//	index.pml   who does what, and when; what is asked of the end
//
// The test lets spin try every order of events in 16 scenarios. It also
// breaks the rules one by one, and each time a promise has to fall: a rule that
// nothing depends on would not be needed, and a promise that can't be broken
// would promise nothing.
//
// An exhaustive run takes about a minute and a half of one processor. make model-big
// goes on from there: more writes and every kind of fault at once, in random order for
// as long as it is given (-minutes), remembering states as bits.
//
// # Traces
//
// TestTraces simulates each scenario at random, with fixed seeds. With -traces it
// writes one trace per scenario, the richest of -seeds courses; testdata has those of
//
//	go test ./model -run TestTraces -args -traces testdata -seeds 60
//
// (make model-traces). A trace has one event a line, a name and then fields:
//
//	propose member=0 shard=1 id=6 first=3 last=4
//
// # begins a comment. member and shard are 0 or 1. id is a batch, member*4 + shard*2
// plus 0 or 1, and is used again once the batch is done with; -1 is nobody's. writes is
// a mask of the scenario's writes. first and last are indexes. Lines that belong to one
// step follow each other.
//
//	write     a client's write reaches the mailbox; home: the client's member;
//	          above: the index it must get past
//	gather    the shard's actor makes a batch of what waits
//	ask       it asks the order shard for as many indexes as count
//	grant     the order shard's log hands out a range; id -1: nobody waits for it any more
//	order     a member applies that
//	propose   and learns the range of its own batch, which it proposes
//	log       the shard's log takes a batch, or with first=0 a Close; writes=0: it is refused
//	          as stale, last is then 0
//	apply     a member applies a batch, and answers those of its clients who wait for it
//	refuse    a member applies a stale batch: nothing changes
//	close     an actor proposes to settle everything up to last without a write
//	settle    a member applies that
//	index     a member's closed index moves
//	lose      an actor gives up waiting for an ask or a batch
//	doubt     so a batch's outcome is open, until its range is settled
//	drop      and it never arrives, which nobody can know
//	again     writes that can no longer be applied go back to a mailbox, that of member to
//	unknown   writes whose outcome nobody can know are answered as such
//	lead      a member becomes the shard's leader
//	follow    a member learns that it leads no more, and passes on what waits
//	snapshot  a member gets past so many entries of a shard by a snapshot; the apply, refuse
//	          and settle lines that follow say which
//	catchup   a member gets to last in the order shard's log by a snapshot, or merges ranges
//	restart   a member starts again with the order shard's log up to last
//	reopen    and each of its shards settled up to last
//
// The rules of the write path are written a second time in actors/shard, in Go. So
// that the two can't drift apart unnoticed, spin simulates some courses of events and
// prints what each actor takes in and does; those traces are in actors/shard/testdata/model,
// the core there has to follow them, and TestTraces here holds that they are what the
// model says now (-write makes them anew).
//
// It needs Debian's spin and gcc.
package model
