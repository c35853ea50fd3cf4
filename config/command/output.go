package command

import "io"

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

// Err is the first failure, or nil.
func (o *Output) Err() error { return o.err }

// Raw is what is written to: for who must have a file, such as a process.
func (o *Output) Raw() io.Writer { return o.to }
