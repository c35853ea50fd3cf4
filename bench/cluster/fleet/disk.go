package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dirPrefix is the prefix of each fleet's directory; the process id follows.
const dirPrefix = "copse-cluster-"

// disk is a small file system for one member.
type disk struct{ dir string }

func mount(dir string, size int64) (*disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		return nil, fmt.Errorf("mount a disk of %d bytes: %w", size, err)
	}
	return &disk{dir}, nil
}

func (d *disk) unmount() error { return syscall.Unmount(d.dir, syscall.MNT_DETACH) }

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill writes until nothing more fits.
func (d *disk) fill() error {
	out, err := os.Create(d.filler())
	if err != nil {
		return err
	}
	defer out.Close()
	for size := 1 << 20; size > 0; {
		if _, err := out.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 16 // up to the last page
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) free() error { return os.Remove(d.filler()) }

// sweepDisks unmounts what killed runs have left, and removes their files.
func sweepDisks() error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		mounted, _ := filepath.Glob(filepath.Join(dir, "*", "data"))
		for _, data := range mounted {
			_ = syscall.Unmount(data, syscall.MNT_DETACH) // most aren't mounts
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
