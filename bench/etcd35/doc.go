// etcd35 is the real etcd 3.5, the last release that speaks v2. It is built
// from its own module, so that the tests compare with the original rather than
// with a description of it.
package main
