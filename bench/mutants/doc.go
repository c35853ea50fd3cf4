// Package mutants breaks the rules of docs/SHARDS.md one by one in copse's own code, and
// checks that the tests of the broken package notice.
package mutants
