package mutants_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutant is a change of one line that breaks a rule.
type mutant struct {
	name     string
	rule     string // of docs/SHARDS.md, or its heading
	file     string
	old, new string // old is in the file once
	by       string // the tests that must fail, each of them
}

// Transcripts show single steps, and worlds what it all comes to: some rules are about
// speed alone, or about what another rule makes good.
const (
	both        = "TestTranscripts TestWorlds"
	transcripts = "TestTranscripts"
	worlds      = "TestWorlds"
)

var mutants = []mutant{
	{
		"batches of earlier epochs are applied", "4", "statemachine/apply.go",
		"stale = batch.Epoch < v.meta.epoch", "stale = false", "TestBatchesOfEarlierEpochsAreStale",
	},
	{
		"what is being changed is served from memory", "of the cache of nodes", "statemachine/recordset.go",
		"		native.PutUint16(s.memory[at+14:], hiddenRecord)\n", "", "TestNodeCacheForgetsWhatWasBarred",
	},
	{
		"new nodes evict others", "of the cache of nodes", "statemachine/nodecache.go",
		"len(rec) > 0 && s.nodes.hasRoom(key, rec)", "len(rec) > 0", "TestNewNodesEvictNone",
	},
	{
		"a node that is being read changes", "of the cache of nodes", "statemachine/nodecache.go",
		"return append(buf[:0], rec...), s.blocks", "return rec, s.blocks", "TestNodeCacheGivesCopies",
	},
	{
		"batches below what is settled are applied", "4", "statemachine/apply.go",
		"stale || batch.Range.First <= v.meta.last;", "stale;", "TestRunningIndexes",
	},
	{
		"a new group keeps the old one's epochs", "4", "statemachine/membership.go",
		"v.meta.raftIndex, v.meta.hash, v.meta.epoch, v.meta.last = 0, 0, 0,", "v.meta.raftIndex, v.meta.hash, v.meta.last = 0, 0,", "TestTheEpochIsKept",
	},
	{
		"a snapshot has the rows of values", "of values in rows", "statemachine/snapshot.go",
		"len(rows) == 0 || len(rows[len(rows)-1]) == rowBytes && isRow(it.Key(), key)", "len(rows) == 0", "TestSnapshotsHaveWholeValues",
	},
	{
		"stray rows are a value's", "of values in rows", "statemachine/snapshot.go",
		"len(rows[len(rows)-1]) == rowBytes && isRow", "isRow", "TestRowsThatNobodyHas",
	},
	{
		"rows of a value stay for ever", "of values in rows", "statemachine/values.go",
		"v.deleteRows(written, int(min(rows, math.MaxUint16+1)))", "v.deleteRows(written, int(min(rows, math.MaxUint16-65534)))", "TestValuesOfSeveralRows",
	},
	{
		"a short row is no damage", "of values in rows", "statemachine/values.go",
		"case len(buf) > end, len(buf)-before != rowBytes:", "case len(buf) > end, len(buf) == before:", "TestRowsThatEndElsewhere",
	},
	{
		"an earlier copse takes a store with rows for damaged", "of values in rows", "statemachine/values.go",
		"c.rows = true", "c.rows = false", "TestValuesOfSeveralRows",
	},
	{
		"a staged value that no file gets stays", "of staged values", "statemachine/stage.go",
		"		v.forgetStaged(number, s)\n	}\n	v.stagedNumber", "		_ = s\n	}\n	v.stagedNumber", "TestStagedValuesAreAsOthers",
	},
	{
		"what is staged for a repeated request stays", "of staged values", "statemachine/once.go",
		"		v.stagedNumber = number\n", "", "TestStagedValuesOfRepeatedRequests",
	},
	{
		"a value is given without its last part", "of staged values", "statemachine/stage.go",
		"s.there < s.length {\n		failed", "false {\n		failed", "TestStagingThatDoesntFit",
	},
	{
		"what nobody goes on with stays", "of staged values", "statemachine/stage.go",
		"old > stagedEntries", "old > 2*stagedEntries", "TestStagedValuesThatNobodyTakes",
	},
	{
		"others wait for parts of large values", "7", "actors/shard/underway.go",
		"len(b.parts) > 0 && !b.stages() && ", "len(b.parts) > 0 && ", transcripts,
	},
	{
		"any number of parts are under way", "7", "actors/shard/leader.go",
		" && (kind != staging || !l.staging(now))", "", both,
	},
	{
		"parts of large values take indexes", "7", "actors/shard/leader.go",
		"l.o.Sharded && kind != staging", "l.o.Sharded", both,
	},
	{
		"closing waits for parts", "11", "actors/shard/ranges.go",
		"!b.stages() && !l.overdue(now, b)", "!l.overdue(now, b)", transcripts,
	},
	{
		"a batch doesn't tell of parts", "7", "actors/shard/leader.go",
		"	head.Staged = slices.ContainsFunc(parts, func(s *Submission) bool { return s.Staged })\n", "", both,
	},
	{
		"a member sends any number of parts", "7", "actors/shard/origin.go",
		" && (kind != staging || parts > 0)", "", both,
	},
	{
		"a command reads what it doesn't need", "of unread values", "statemachine/apply.go",
		"v.leavesUnread = c.Op <= tree.OpExpire", "v.leavesUnread = false && c.Op <= tree.OpExpire", "TestApplyingReadsNoLargeValues",
	},
	{
		"a compared value isn't read", "of unread values", "statemachine/apply.go",
		" && c.PrevValue == \"\" && c.Once.ID", " && c.Once.ID", "TestUnreadValuesAreShownAsOthers",
	},
	{
		"a rune between two parts is counted twice", "of staged values", "statemachine/stage.go",
		"end -= back", "end -= 0", "TestStagedTextIsCounted",
	},
	{
		"large values go with their events", "of unread values", "statemachine/values.go",
		"lingering += rows; lingering", "lingering += rows; rows > math.MaxUint16 && lingering", "TestLargeValuesLinger",
	},
	{
		"any number of large values linger", "of unread values", "statemachine/values.go",
		"lingering <= lingerRows && ", "", "TestLargeValuesLinger",
	},
	{
		"large values linger for ever", "of unread values", "statemachine/values.go",
		" && bytes.Compare(it.Key(), appendDropKey(nil, from, 0)) >= 0", "", "TestLargeValuesLinger",
	},
	{
		"a fill stores values under the source's indexes", "of mirrors", "statemachine/mirror.go",
		"			n.Written = v.numberValue()\n			v.must(v.setValue(n.Written, n.Value))\n", "", "TestAFillMayReuseIndexes",
	},
	{
		"any number of values may be staged", "of staged values", "statemachine/stage.go",
		"values > stagedLimit || ", "", "TestStagedValuesThatNobodyTakes",
	},
	{
		"any number of bytes may be staged", "of staged values", "statemachine/stage.go",
		" || sum > stagedBytesLimit", "", "TestStagedValuesThatNobodyTakes",
	},
	{
		"a new generation keeps the window", "A new generation", "statemachine/membership.go",
		"	v.emptyWindow()\n", "", "TestRenewADataShard",
	},
	{
		"a new generation's terms begin anew where they are shown", "16", "actors/raft/leaders.go",
		"return l.shown(l.highest.Load())", "return l.highest.Load()", "TestLeadersComeAndGo",
	},
	{
		"a name without room keeps its floor", "of names", "statemachine/names.go",
		"n.floor, n.changed = e.Index()+1, true", "n.changed = true", "TestWindowsOfNamesAgainstAModel",
	},
	{
		"a window that has become empty leaves no trace", "of names", "statemachine/names.go",
		"	n.floor = max(n.floor, w.floor)\n", "", "TestWindowsOfNamesAgainstAModel",
	},
	{
		"a trimmed window keeps its floor", "of names", "statemachine/names.go",
		"w.floor = oldest.last + 1", "w.floor = min(w.floor, w.last) + 0*oldest.last", "TestWindowsOfNamesAgainstAModel",
	},
	{
		"events of names refer to values that may be gone", "of names", "statemachine/namerecords.go",
		"w, 0, r.data[:0], true", "w, 0, r.data[:0], len(r.data) > 0", "TestWindowsOfNamesAgainstAModel",
	},
	{
		"what another copse has applied isn't missed", "of names", "statemachine/namerecords.go",
		"if !found || n.upTo != last {", "if !found {", "TestWindowsOfNamesThatMissSomethingAreDropped",
	},
	{
		"windows that another copse left behind go on", "of names", "statemachine/names.go",
		"(!n.limits.on() || n.upTo != v.meta.last)", "!n.limits.on()", "TestWindowsOfNamesThatMissSomethingAreDropped",
	},
	{
		"a new limit isn't kept to", "of names", "statemachine/names.go",
		"if len(all)-i > n.limits.Names {", "if i < 0 {", "TestWindowsOfNamesAgainstAModel",
	},
	{
		"a watch of a name goes by the common floor", "of names", "actors/watch/hubloop.go",
		"case a.from < floor && !a.apart:", "case a.from < floor:", "TestHubAgainstAPlainList",
	},
	{
		"a watch of a name doesn't look where its window begins", "of names", "actors/watch/past.go",
		"if complete > from {", "if complete > from && !p.hub.store.apart {", "TestHubAgainstAPlainList",
	},
	{
		"names are listed without a permission", "of auth", "httpfront/history.go",
		"return now.May(who, auth.Read, key+\"/\", true)", "return now.May(who, auth.Read, key, false) || true", "TestHistoryIsOfWhatMayBeRead",
	},
	{
		"watches begin without a permission", "of auth", "httpfront/keys.go",
		"if g, ok := s.permit(ctx, first, more...); ok {",
		"if g, ok := s.permit(ctx, first, more...); ok || x.req.kind == kindWatch {",
		"TestAWatchThatMayNotBeginIsAnOrdinaryAnswer",
	},
	{
		"events are delivered without a permission", "of auth", "httpfront/parkedconns.go",
		"if p.stage != watching || p.grant.stands(now, p.terms) {", "if true {",
		"TestNoEventAfterThePermissionIsGone", // others would wait for the watch's end
	},
	{
		"POST needs no permission", "of auth", "httpfront/keys.go",
		"if g, ok := s.permit(ctx, first, more...); ok {",
		"if g, ok := s.permit(ctx, first, more...); ok || x.method == methodPost {",
		"TestWhoMayDoWhatToKeys",
	},
	{
		"the listing of the root needs no permission", "of auth", "httpfront/access.go",
		"if !first.met(g.under, who) ||", "if !first.met(g.under, who) && (first.what == auth.Write || keyOf(first.path) != \"/\") ||",
		"TestWhoMayDoWhatToKeys",
	},
	{
		"a read isn't checked again", "of auth", "httpfront/keys.go",
		"if !s.permitted(ctx, &g) {", "if false {", "TestAReadIsCheckedAgainAfterwards",
	},
	{
		"a user's wrong password is refused sooner than an unknown user's", "of auth", "httpfront/login/turns.go",
		"if t.pass(); !due {", "if t.pass(); !due || true {", "TestAWrongPasswordIsRefusedInItsHostsOrder",
	},
	{
		"whoever sends wrong passwords has turns like the others", "of auth", "httpfront/login/turns.go",
		"if b := t.blame.on(l.of); b < least {", "if b := 0 * t.blame.on(l.of); b < least {", "TestAFloodFromManyHostsKeepsNobodyOut",
	},
	{
		"the second operation of a transaction needs no permission", "of transactions", "httpfront/txn.go",
		"s.permit(ctx, needs[0], needs[1:]...)", "s.permit(ctx, needs[0])", "TestWhoMayDoWhatInATransaction",
	},
	{
		"a transaction counts what was removed before in it", "of transactions", "statemachine/txn/overlay.go",
		"if !more || o.removed[key] {", "if !more {", "TestTransactions",
	},
	{
		"a rehearsal changes the store", "of transactions", "statemachine/txn/overlay.go",
		"{ o.nodes[n.Key] = *n }", "{ o.Store.Put(n, nil); o.nodes[n.Key] = *n }", "TestTransactions",
	},
	{
		"a transaction is taken to be all of this shard", "of transactions", "statemachine/apply.go",
		"if m.place.data() && tree.Slot(key,", "if false && tree.Slot(key,", "TestATransactionStaysInItsShard",
	},
	{
		"a transaction goes to the shard of its first key", "of transactions", "actors/txn.go",
		"p := r.at(key); p != of {", "p := r.at(key); p == nil {", "TestTransactionsOfSeveralShards",
	},
	{
		"a repeated request is carried out again", "of requestId", "statemachine/once.go",
		"return rec[onceHead:], nil", "return nil, nil", "TestRepeatedRequests",
	},
	{
		"another request gets the answer of the first", "of requestId", "statemachine/once.go",
		"case binary.BigEndian.Uint64(rec[8:]) != c.Once.Sum:", "case false:", "TestRepeatedRequests",
	},
	{
		"an answer is kept for ever", "of requestId", "statemachine/once.go",
		"case now-at >= int64(onceTime):", "case false:", "TestRepeatedRequests",
	},
	{
		"refusals aren't kept", "of requestId", "statemachine/once.go",
		"if failed != nil && failed.Code == tree.CodeRaftInternal {", "if failed != nil {", "TestRepeatedRequests",
	},
	{
		"the oldest answer makes room", "of requestId", "statemachine/once.go",
		"if v.meta.once.answers >= onceLimit ||", "if false ||", "TestAnswersAreBounded",
	},
	{
		"a repeated create in the root goes to another shard", "of requestId", "actors/router.go",
		"if c.Once.ID != \"\" {", "if false {", "TestARepeatedRequestIsCarriedOutOnce",
	},
	{
		"a web page may enable auth", "of auth", "httpfront/routes.go",
		"leave(ctx) || !s.admits(ctx, x.method, path) || ", "leave(ctx) || ", "TestAWebPageChangesNothingOfCopsesOwn",
	},
	{
		"a damaged large value isn't noticed where it is read", "of the store", "statemachine/blobfile.go",
		"case len(p) > block.TrailerLen:", "case false:", "TestAKilledStoreMissesItsLargeValues",
	},
	{
		"a large value's file is listed only by the next Sync", "of the store", "statemachine/storefs.go",
		"if c.name == s.name {", "if false {", "TestAKilledStoreMissesItsLargeValues",
	},
	{
		"the guest is held to no rule for what is recursive", "of auth", "statemachine/auth/may.go",
		"return s.gives(Guest, what, path, recursive)", "return s.gives(Guest, what, path, false)", "TestTheGuestNeedsAStarForWhatIsRecursive",
	},
	{
		"a password is remembered after it was changed", "of auth", "httpfront/login/proofs.go",
		"ok && v.hash == u.Hash && subtle", "ok && subtle", "TestWhatIsRememberedEndsWithTheHash",
	},
	{
		"a connection's password is remembered after it was changed", "of auth", "httpfront/login/login.go",
		"if !ok || u.Hash != c.user.Hash {", "if !ok {", "TestWhatIsRememberedEndsWithTheHash",
	},
	{
		"lists show hidden nodes", "of auth", "statemachine/tree/listing.go",
		"if !page.Hidden && HiddenBelow(l.open[len(l.open)-1].node.Key, n.Key) {", "if false {", "TestListingHidesSortsAndNests",
	},
	{
		"pages are of the moment when they are asked for", "of pages", "statemachine/page.go",
		"if at != 0 && p.kept(at) {", "if false {", "TestPages",
	},
	{
		"what is hidden needs no permission of its own", "of pages", "httpfront/params.go",
		"recursive || query.Page.Hidden || query.Page.Depth > 1", "recursive", "TestWhoMayDoWhatToKeys",
	},
	{
		"a backup has what comes after its index", "of a backup", "statemachine/cut.go",
		"		if batch.Range.First > c.at {\n			c.end()", "		if false {\n			c.end()", "TestABackupOfSeveralShardsHasOneIndex",
	},
	{
		"users aren't in snapshots", "of auth", "statemachine/snapshot.go",
		"for ok := it.First(); ok; {\n\t\tselect {", "for ok := it.First(); ok; {\n\t\tif it.Key()[0] == userPrefix {\n\t\t\tok = it.Next()\n\t\t\tcontinue\n\t\t}\n\t\tselect {", "TestUsersAreKept",
	},
	{
		"a close goes back", "5", "statemachine/ordered.go",
		"v.meta.last = max(v.meta.last, c.PrevIndex)", "v.meta.last = c.PrevIndex", "TestRunningIndexes",
	},
	{
		"a later write joins a range", "7", "actors/shard/ranges.go",
		"l.enqueue(now, asked.parts, tree", "l.enqueue(now, append(asked.parts, l.inbox[asked.kind]...), tree", both,
	},
	{
		"who doesn't write again is waited for without end", "7", "actors/shard/returning.go",
		"max(0, min(r.took, gatherTime)-now.Sub(r.since))", "min(r.took, gatherTime)", both,
	},
	{
		"writers are waited for as long as a slow quorum took", "7", "actors/shard/returning.go",
		"min(r.took, gatherTime)-now", "r.took-now", both,
	},
	{
		"nobody looks whether the time of those who are waited for is over", "7", "actors/shard/core.go",
		"if wait := c.expects(now); wait > 0 {", "if wait := c.expects(now); wait < 0 {", transcripts,
	},
	{
		"who comes back by a refusal is waited for", "7", "actors/shard/core.go",
		"	c.leader.dropLate(now)\n	c.turnBack(now)", "	c.leader.dropLate(now)\n", "TestWhatComesBackIsNotWaitedFor",
	},
	{
		"a leader that refuses its own writes waits for them", "7", "actors/shard/core.go",
		"c.leader.advance(now, due)", "c.leader.advance(now, c.expects(now) == 0)", "TestAFullInboxDelaysNothing",
	},
	{
		"three writers wait for each other", "7", "actors/shard/returning.go",
		"r.writes < returningLeast ||", "", transcripts,
	},
	{
		"large writes go whatever is under way", "7", "actors/shard/kinds.go",
		"(!large || underWay < inflightBytesLimit)", "(!large || underWay >= 0)", "TestLargeWritesOfAnyKindWait",
	},
	{
		"large creates in the root go whatever is under way", "7", "actors/shard/kinds.go",
		"(!large || underWay < inflightBytesLimit)", "(!large || kind != bulk || underWay < inflightBytesLimit)", "TestLargeWritesOfAnyKindWait",
	},
	{
		"small writes always go first", "7", "actors/shard/kinds.go",
		"kind := (turn + i) % kinds", "kind := i", "TestLargeWritesHaveTheirTurn",
	},
	{
		"asks are answered by shard, not by id", "8", "actors/shard/ranges.go",
		"asked == nil || g.ID.Nonce != l.o.Nonce || g.ID.Number != asked.number", "asked == nil", both,
	},
	{
		"a tag is of what is being committed", "of tags", "statemachine/listing.go",
		"if at > index || m.caches", "if at > index+9 || m.caches", "TestTagsBesideAWriter",
	},
	{
		"a mark begins below what is being committed", "of tags", "statemachine/marks.go",
		"	s.begun = at\n	if", "	if", "TestATagIsCurrentIfTheAnswerIsTheSame",
	},
	{
		"a mark outlives a removed directory", "of tags", "statemachine/caches.go",
		"	c.marks.restart(at)\n", "", "TestATagIsCurrentIfTheAnswerIsTheSame",
	},
	{
		"a member that lags says that a later tag is current", "of tags", "statemachine/tree/tag.go",
		"if changed <= at && at <= now && (", "if changed <= at && (", "TestATagIsCurrentFromTheLastChangeOn",
	},
	{
		"a tag of the root is above the closed index", "of tags", "statemachine/across.go",
		"if shown > closed {", "if false {", "TestATagOfTheRootOfSeveral",
	},
	{
		"a mirror has tags", "of tags", "actors/router.go",
		"		q.Tag = nil\n", "", "TestAMirrorHasNoTimeOfItsOwn",
	},
	{
		"tags of another life count", "of tags", "httpfront/conditional.go",
		"digits, ok := bytes.CutPrefix(opaque, life)", "digits, ok := opaque[min(len(opaque), len(life)):], true", "TestAnswersOnTheWire",
	},
	{
		"the compressed form of a listing isn't counted", "of gzip", "statemachine/listcache.go",
		"		size += cap(*packed)\n", "", "TestAListingAndItsOtherForm",
	},
	{
		"what shows a time to live is kept", "of files", "statemachine/lookup.go",
		"n.Modified, true, mortal", "n.Modified, true, false", "TestWhatIsNotKeptAsAFile",
	},
	{
		"a file that is kept needs no room", "of files", "statemachine/lookup.go",
		"	take(q.Room, len(file.text))\n", "", "TestLargeFilesAreKept",
	},
	{
		"a compressor isn't given back", "of gzip", "httpfront/gzip.go",
		"	p.all.give(p.z)\n", "", "TestACompressedListingIsTheListing",
	},
	{
		"a browser may guess what bytes are", "of raw", "httpfront/raw.go",
		"	h.SetCanonical(headerNoSniff, []byte(\"nosniff\"))\n", "", "TestBytesAsTheyAre",
	},
	{
		"a range of other bytes than the client has", "of raw", "httpfront/raw.go",
		"x.method == methodGet && s.rangeHolds(ctx)", "x.method == methodGet", "TestBytesAsTheyAre",
	},
	{
		"a batch that is late is proposed again", "8", "actors/shard/leader.go",
		"if b.sent {\n\t\t\tcontinue", "if b.sent && !l.overdue(now, b) {\n\t\t\tcontinue", both,
	},
	{
		"batches are counted anew in each epoch", "8", "actors/shard/leader.go",
		"l.epoch, l.seen = epoch, map[sender]uint64{}", "l.epoch, l.seen, l.number = epoch, map[sender]uint64{}, 0", both,
	},
	{
		"submissions of any epoch are taken", "9", "actors/shard/leader.go",
		"if l.epoch == 0 || s.Epoch != l.epoch {", "if l.epoch == 0 {", both,
	},
	{
		"what is missing is not refused", "9, 20", "actors/shard/leader.go",
		"if last+1 < s.ID.Number {", "if false {", both,
	},
	{
		"what was refused is taken when it comes", "9", "actors/shard/leader.go",
		"if s.ID.Number <= last {\n\t\treturn\n\t}", "", both,
	},
	{
		"the first batch isn't empty, there is none", "10", "actors/shard/leader.go",
		"\tl.enqueue(time.Time{}, nil, tree.BatchHead{})\n", "", both,
	},
	{
		"another leader is enough to send again", "10, 19", "actors/shard/core.go",
		"c.origin.newLead()\n", "c.origin.newLead()\n\tc.origin.takeBack(func(*sent) bool { return true })\n", both,
	},
	{
		"a snapshot tells what became of writes", "19", "actors/shard/origin.go",
		"if a.Jumped {", "if false {", both,
	},
	{
		"ranges are closed with a batch on its way", "11", "actors/shard/ranges.go",
		"if !b.stages() && !l.overdue(now, b) {", "if !b.stages() && l.overdue(now, b) {", both,
	},
	{
		"batches that may be lost are waited for", "11", "actors/shard/underway.go",
		"return b.sent && now.Sub(b.proposed) >= l.o.Patience", "return false", transcripts,
	},
	{
		"what isn't proposed is kept, not refused", "12", "actors/shard/leader.go",
		"l.refuse(l.inbox[kind]...)\n\t\tl.inbox[kind] = nil", "_ = kind", both,
	},
	{
		"what is proposed is refused", "12", "actors/shard/leader.go",
		"if !b.sent {\n\t\t\tl.refuse(b.parts...)", "if true {\n\t\t\tl.refuse(b.parts...)", both,
	},
	{
		"an ask lives on in the next epoch", "12", "actors/shard/leader.go",
		"\tl.giveUpAsk()\n", "", both,
	},
	{
		"a leader goes on when its epoch is over", "12", "actors/shard/core.go",
		"if in.Lead.Term < in.Applied.Epoch {", "if false {", "TestTranscripts TestModel",
	},
	{
		"a stale submission counts as applied", "4, 19", "actors/shard/origin.go",
		"if out.Stale {", "if false {", both,
	},
	{
		"a refusal of another actor's submission counts", "19", "actors/shard/origin.go",
		"if r.Nonce != o.o.Nonce {", "if false {", transcripts,
	},
	{
		"the first writer whose time is over takes the others along", "19", "actors/shard/origin.go",
		"case now.After(due):\n", "case i > 0 && len(late) == i || now.After(due):\n", both,
	},
	{
		"who is still waiting gets the replies of those before", "19", "actors/shard/origin.go",
		"s.waiting(), s.waitedFor(out.Data)", "s.waiting(), out.Data", transcripts,
	},
	{
		"a dropped batch is forgotten after a snapshot", "8", "actors/shard/leader.go",
		"return b.sent && len(b.parts) == 0 })\n\tfor", "return b.sent })\n\tfor", transcripts,
	},
	{
		"nobody asks a slow leader", "20", "actors/shard/origin.go",
		"if len(waiting) == 0 ||", "if true ||", both,
	},
	{
		"batches have no limit", "7", "actors/shard/kinds.go",
		"return max(commands, indexes) > batchCommandsLimit || size > bytes", "return indexes > 65_536+0*size*bytes", both,
	},
	{
		"a leader that is about to go proposes", "transfer", "actors/shard/core.go",
		"c.leader.dropLate(now)\n", "c.leader.dropLate(now)\n\tc.leader.paused = false\n", transcripts,
	},
	{
		"heartbeats cover what is still to be delivered", "the index of a heartbeat", "actors/watch/hub.go",
		"if told < last {", "if told > last {", "TestHubAgainstAPlainList",
	},
	{
		"heartbeats cover what the poll loop has still to write", "the index of a heartbeat", "httpfront/terms.go",
		"f.before = len(l.loop.mailbox)", "f.before = 0", "TestAHeartbeatIsNeverAheadOfTheEvents",
	},
	{
		"heartbeats fall behind the last event", "the index of a heartbeat", "httpfront/terms.go",
		"at = max(at, p.terms.last)", "_ = at", "TestAHeartbeatIsNeverAheadOfTheEvents",
	},
	{
		"an event that concerns two keys of a watch comes twice", "several prefixes", "actors/watch/several.go",
		"t.several[w] = n.Index", "t.several[w] = 0", "TestHubAgainstAPlainList",
	},
	{
		"a wait of several keys stays in the other branches", "several prefixes", "actors/watch/several.go",
		"if !w.Stream {", "if false {", "TestHubAgainstAPlainList",
	},
	{
		"the first prefix gives permission for all", "several prefixes", "httpfront/access.go",
		"ContainsFunc(more, func", "ContainsFunc(more[:0], func", "TestAWatchOfSeveralKeysTakesThePermissionForEach",
	},
	{
		"a failed round proves something", "maxStale", "actors/shard/readlane.go",
		"} else {\n\t\t\tl.proved.Store(&began)\n\t\t}", "}\n\t\tl.proved.Store(&began)", "TestAReadOfABoundedAgeTakesARoundOnlyIfItMust",
	},
	{
		"a round proves what was there at its end", "maxStale", "actors/shard/readlane.go",
		"l.proved.Store(&began)", "end := l.now()\n\t\t\tl.proved.Store(&end)", "TestAReadOfABoundedAgeTakesARoundOnlyIfItMust",
	},
	{
		"minIndex isn't waited for", "minIndex", "actors/router.go",
		"if q.MinIndex == 0 {", "if true {", "TestAnIndexOfOneMemberIsGoodAtAll",
	},
	{
		"snapshots and starts forget the hash", "same data", "statemachine/meta.go",
		"&m.raftIndex, &m.hash,", "&m.raftIndex,", "TestReplicasOfOneLogHaveOneHash",
	},
	{
		"the hash doesn't cover what came before", "same data", "statemachine/hash.go",
		"binary.BigEndian.PutUint64(head[:8], before)", "_ = before", "TestAnotherLogHasAnotherHash",
	},
	{
		"hashes from before a snapshot are kept", "same data", "statemachine/hash.go",
		"h[i].index.Store(0)", "_ = i", "TestReplicasOfOneLogHaveOneHash",
	},
	{
		"hashes aren't compared", "same data", "actors/cluster/verdict.go",
		"if own.hash == other {", "if true {", "TestAMemberFindsOutWhetherItDiffers TestAMemberThatCatchesUpIsComparedThere",
	},
	{
		"a member ahead of all is taken for one that is early", "same data", "actors/cluster/verdict.go",
		"if a.has(upToDate) {", "if false {", "TestAMemberFindsOutWhetherItDiffers",
	},
	{
		"terms aren't compared", "same data", "actors/cluster/verdict.go",
		"case term != 0 && a.term != 0 && term != a.term:", "case false:", "TestAMemberFindsOutWhetherItDiffers",
	},
	{
		"one other member is a majority", "same data", "actors/cluster/verdict.go",
		"against[s] >= majority {", "true {", "TestTheMajorityDecides TestAMemberFindsOutWhetherItDiffers",
	},
	{
		"a member with wrong data isn't kept out", "same data", "actors/cluster/depart.go",
		"id.Differs = why", "_ = why", "TestAMemberWithWrongDataStepsOutAndIsKeptOut",
	},
}

// Each mutant is found by the tests that it names.
func TestMutantsAreFound(t *testing.T) {
	whole := mutant{file: "actors/shard/core.go", old: "package shard", new: "package shard", by: both}
	if out := whole.test(t); !strings.HasPrefix(out, "ok") {
		t.Fatalf("the tests fail without a mutant:\n%s", out)
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			out := m.test(t)
			for test := range strings.FieldsSeq(m.by) {
				if !strings.Contains(out, "--- FAIL: "+test+" ") {
					t.Errorf("rule %s: %s doesn't notice that %s\n%s", m.rule, test, m.name, out[max(0, len(out)-2000):])
				}
			}
		})
	}
}

// test runs the tests of the mutant's package with the mutant in place of its file.
func (m *mutant) test(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, m.file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		t.Fatalf("%s has %q %d times, want once", m.file, m.old, n)
	}
	dir := t.TempDir()
	broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(broken, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{file: broken}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-timeout", "3m", "-vet=off", "-pgo=off", "-overlay", overlay, "-run", "^(" + strings.ReplaceAll(m.by, " ", "|") + ")$", "./" + filepath.Dir(m.file)}
	if strings.Contains(m.by, worlds) {
		args = append(args, "-seed", "1", "-worlds", "999") // each run sees the same ones
	}
	if drawsCases(t, filepath.Dir(file)) {
		args = append(args, "-rapid.shrinktime", "1s", "-rapid.nofailfile") // nobody reads the case
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	out, _ := cmd.CombinedOutput() // it is to fail: what it prints counts
	if strings.Contains(string(out), "[build failed]") {
		t.Fatalf("the mutant can't be built:\n%s", out)
	}
	return string(out)
}

// drawsCases reports whether a package's tests know rapid's flags.
func drawsCases(t *testing.T, dir string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte(`"pgregory.net/rapid"`))
	})
}
