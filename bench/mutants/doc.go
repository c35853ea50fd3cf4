// Package mutants breaks the rules of docs/SHARDS.md one by one in copse's own code, and
// checks that the tests of the broken package notice. It owns the list of what is broken,
// and no rule. Each mutant is a go test with one file replaced, and runs as a process.
package mutants
