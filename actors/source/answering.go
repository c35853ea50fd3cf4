package source

import (
	"context"
	"io"
	"time"
)

// answering is an answer's body, whose request ends with it, or if nothing more of it comes
// within the limit.
type answering struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
	limit  time.Duration
}

func (a *answering) Read(p []byte) (int, error) {
	late := time.AfterFunc(a.limit, func() { a.cancel(errStalled) })
	defer late.Stop()
	return a.ReadCloser.Read(p)
}

func (a *answering) Close() error {
	a.cancel(nil)
	return a.ReadCloser.Close()
}
