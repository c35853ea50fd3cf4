package main

import (
	"flag"
	"os"
	"regexp"
	"time"
)

// requestOptions select the workloads, and how long they run.
type requestOptions struct {
	rounds   int
	warm     time.Duration // before each run
	duration time.Duration // of each run
	only     *regexp.Regexp
	servers  lineup
	limits   bool // run those too
	picture  string
}

// timing adds the flags for how often and how long to measure.
func (o *requestOptions) timing(flags *flag.FlagSet, rounds int, warm, d time.Duration) {
	flags.IntVar(&o.rounds, "rounds", rounds, "how often to measure each")
	flags.DurationVar(&o.warm, "warm", warm, "how long to run before each measurement")
	flags.DurationVar(&o.duration, "d", d, "how long to measure")
}

// choice adds the flags for what to measure, and where the pictures go.
func (o *requestOptions) choice(flags *flag.FlagSet, what string) {
	o.servers.flags(flags)
	o.pattern(flags, what)
	flags.Func("pictures", "where to put the pictures; none by default", func(dir string) error {
		o.picture = dir
		return os.MkdirAll(dir, 0o755)
	})
}

func (o *requestOptions) pattern(flags *flag.FlagSet, what string) {
	o.only = regexp.MustCompile("")
	flags.Func("only", "a regular expression that the "+what+" match", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
}
