// Package mirror has the state of a cluster that follows a source, and the changes of it as they
// are in the log: events of the source, whole reads, and the end by a promotion. It is pure.
//
// A cluster is a mirror from its founding until its promotion. Meanwhile its tree is the
// source's at the source's own indexes: package statemachine refuses all other changes of
// it, and nothing expires but by an event of the source.
//
// How and when the source is read is decided in package actors/mirror, and the effect of a change
// on the store in statemachine/mirror.go. It runs no goroutines.
package mirror
