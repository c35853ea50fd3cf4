package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

func main() {
	r := &release{}
	flag.StringVar(&r.source, "source", "..", "copse's `directory`")
	flag.StringVar(&r.out, "out", "../bin/release", "the `directory` for what is made")
	flag.StringVar(&r.pgo, "pgo", "auto", "the compiler's `flag`: off builds in a minute, and a slower copse")
	arch := flag.String("arch", strings.Join(architectures, ","), "the `architectures`; this machine's must be among them")
	licenses := flag.String("licenses", "", "write the licences of all that is linked to this `file`, and end")
	flag.Parse()
	r.arch = strings.Split(*arch, ",")
	slices.SortStableFunc(r.arch, func(a, b string) int { return first(b) - first(a) })
	err := r.make(*licenses)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// first is 1 for this machine's architecture.
func first(arch string) int {
	if arch == runtime.GOARCH {
		return 1
	}
	return 0
}

func (r *release) make(licenses string) error {
	if licenses != "" {
		return writeLicenses(r.source, licenses)
	}
	if err := r.ofCommit(); err != nil {
		return err
	}
	return r.publish()
}
