package datadir

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// No permission helps where the file system is read-only.
func TestTheRemedyFitsTheCause(t *testing.T) {
	for cause, want := range map[syscall.Errno]string{
		syscall.EROFS:  "data directory d can't be written (read-only file system): mount it for writing, or",
		syscall.EACCES: "data directory d can't be written (permission denied): give this user write permission, or",
	} {
		if got := unwritable("d", &fs.PathError{Op: "mkdir", Path: "d", Err: cause}).Error(); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q", got, want)
		}
	}
}
