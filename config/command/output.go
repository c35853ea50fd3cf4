package command

import (
	"fmt"
	"io"

	"copse/config"
)

// Output is standard output. It remembers the first failure, as most code that prints ignores
// them. It is for one goroutine.
type Output struct {
	to  io.Writer
	err error
}

// NewOutput returns an Output that writes to to.
func NewOutput(to io.Writer) *Output { return &Output{to: to} }

func (o *Output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// ExitCode returns the exit code of a command that has returned code. A failed write that the
// command hasn't noticed is reported, and makes it fail.
func (o *Output) ExitCode(code int, stderr io.Writer) int {
	if o.err == nil || code != 0 {
		return code
	}
	fmt.Fprintln(stderr, "standard output is incomplete:", o.err)
	return config.ExitFailed
}

// Raw returns the writer below, for callers that need a file, such as processes to be started.
func (o *Output) Raw() io.Writer { return o.to }
