package command

import (
	"fmt"
	"io"

	"copse/config"
)

// Output is standard output. It remembers the first failure, as few who print look at each.
// It is for one goroutine.
type Output struct {
	to  io.Writer
	err error
}

// NewOutput writes to a file, or what stands for one.
func NewOutput(to io.Writer) *Output { return &Output{to: to} }

func (o *Output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// ExitCode is that of a command which has returned one. If it hasn't noticed a failure, it is
// printed, and is the command's.
func (o *Output) ExitCode(code int, stderr io.Writer) int {
	if o.err == nil || code != 0 {
		return code
	}
	fmt.Fprintln(stderr, "standard output isn't whole:", o.err)
	return config.ExitFailed
}

// Raw is what is written to: for who must have a file, such as a process.
func (o *Output) Raw() io.Writer { return o.to }
