package datadir

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// No permission helps where the file system is read-only, but a start may once it is mounted
// for writing again.
func TestTheRemedyFitsTheCause(t *testing.T) {
	for cause, want := range map[syscall.Errno]struct {
		text      string
		forbidden bool
	}{
		syscall.EROFS:  {"data directory d can't be written (read-only file system): mount it for writing, or", false},
		syscall.EACCES: {"data directory d can't be written (permission denied): give this user write permission, or", true},
	} {
		err := unwritable("d", &fs.PathError{Op: "mkdir", Path: "d", Err: cause})
		if !strings.Contains(err.Error(), want.text) {
			t.Errorf("%v lacks %q", err, want.text)
		}
		if got := errors.Is(err, ErrForbidden); got != want.forbidden {
			t.Errorf("%v: for good is %v", err, got)
		}
	}
}
