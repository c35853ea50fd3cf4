// Package loop has what every actor is built from. An actor is a struct with a
// bounded [Mailbox] and a single goroutine, its loop, which owns the actor's
// state; there are no locks around that state.
//
// The package owns the life cycle of loops: [Group] starts the parts of a server
// in order, stops them in reverse order and waits for each; [Life] gives one actor
// a Stop that may be called at any time; [Bell] wakes a loop without a message.
// It knows nothing about what actors do, and imports no other package of copse.
//
//	           Send, Offer            Messages
//	goroutines ───────────▶ Mailbox ───────────▶ loop ──▶ state
//	goroutines ── Ring ───▶ Bell ───────────────▶ ▲
//	Group ─────── Stop ───▶ Life ── Stopping ─────┘
//
// # Goroutines
//
// Group runs one for each part, for as long as Group.Run lasts. Nothing else here
// starts any.
//
// Package looptest tests that an actor's Run and Stop keep this contract.
package loop
