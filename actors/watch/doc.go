// Package watch delivers events to watchers.
//
// It owns the watchers of one shard: [Hub] registers them, keeps the most recent
// events in memory, and hands each event to the watchers it concerns, in index
// order and without gaps. It does not own the history on disk, which it reads
// through [HistoryFunc], nor the connections behind the watchers: it knows those
// as a tree.Sink. Where a change of the root concerns several shards, another
// package publishes the events of all of them to one more Hub.
//
//	Machine ─ Publish ─▶ mailbox ─▶ loop ──▶ ring (recent events)
//	                                 │  └──▶ watchTrie ─ Deliver ─▶ Sink
//	Watch ── ask ──────▶ mailbox ───▶┤
//	   └─ pastReader ◀─ History ─────┘ (gaps, and what is older than the ring)
//	Unwatch ─▶ departures ───────────▲
//
// # Goroutines
//
// One for each Hub: its loop, started by Run and ended by Stop. A watch that
// begins before the ring reads its past on the goroutine that called Watch.
package watch
