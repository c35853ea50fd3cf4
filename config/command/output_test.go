package command

import (
	"bytes"
	"fmt"
	"testing"

	"copse/config"
)

// fails refuses every write but the first.
type fails struct{ writes int }

func (f *fails) Write(p []byte) (int, error) {
	f.writes++
	if f.writes > 1 {
		return 0, fmt.Errorf("failure %d", f.writes-1)
	}
	return len(p), nil
}

func TestOutputRemembersItsFirstFailure(t *testing.T) {
	to, stderr := new(fails), new(bytes.Buffer)
	o := NewOutput(to)
	for i := range 3 {
		if _, err := fmt.Fprint(o, "x"); (err == nil) != (i == 0) {
			t.Errorf("write %d: %v", i, err)
		}
		if want := min(i, config.ExitFailed); o.ExitCode(0, stderr) != want {
			t.Errorf("write %d: the exit code isn't %d", i, want)
		}
	}
	const said = "standard output is incomplete: failure 1\n"
	if o.ExitCode(4, stderr) != 4 || o.Raw() != to || stderr.String() != said+said {
		t.Errorf("%v, %s", o.Raw(), stderr)
	}
}
