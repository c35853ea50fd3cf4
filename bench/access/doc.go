// Package access checks that three members show nobody what auth forbids. It has only
// tests.
//
// One driver changes roles, users and passwords, a step at a time, and restarts members;
// meanwhile a reader at each member asks for anything as anybody. rules_test.go
// says in its own words who may do what. A member answers from what it has applied,
// which the reader can only bound: it is no older than what the member has been seen
// to have applied before the request, and no newer than what has been asked for when the answer
// came. An answer that none of these states explains fails the test, be it too much or too
// little.
//
// Streams are opened by the driver, and have no such tolerance: once a member has
// applied that a permission is gone, its streams deliver nothing that is written from
// then on, and end.
//
// What the driver does is drawn by rapid, which prints its seed; how the readers'
// requests fall between the changes is up to the machine.
package access
