// Package looptest checks that an actor starts and stops as a loop.Group expects.
// It owns no actor: tests hand it a constructor. The goroutines it starts end
// before it returns.
//
//	constructor ──▶ actor ◀── Run, Stop ── N goroutines at once
package looptest
