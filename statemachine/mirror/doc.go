// Package mirror is what a cluster knows of the source that it follows, and the changes of that as
// they are in the log: what the source's events do, whole reads, and the end by a promotion.
// It is pure.
//
// A cluster is a mirror from its founding until its promotion. Meanwhile its tree is the
// source's at the source's own indexes: package statemachine refuses all other changes of
// it, and nothing expires but by an event of the source.
//
// It doesn't own how the source is read, nor when (package actors/mirror), nor what a change
// does to the store (statemachine/mirror.go). It runs no goroutines.
package mirror
