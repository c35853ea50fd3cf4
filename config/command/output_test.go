package command

import (
	"fmt"
	"testing"
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
	to := new(fails)
	o := NewOutput(to)
	for i := range 3 {
		if _, err := fmt.Fprint(o, "x"); (err == nil) != (i == 0) || (o.Err() == nil) != (i == 0) {
			t.Errorf("write %d: %v, %v", i, err, o.Err())
		}
	}
	if o.Err().Error() != "failure 1" || o.Raw() != to {
		t.Errorf("%v, %v", o.Err(), o.Raw())
	}
}
