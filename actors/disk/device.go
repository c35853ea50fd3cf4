package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Device is the disk of a Watch.
type Device interface {
	// Space returns the free bytes and the size of the file system.
	Space() (free, size uint64, err error)
	// Probe writes and syncs one block.
	Probe() error
	Close()
}

const (
	probeName = "disk-probe" // the file that Probe writes
	probeSize = 4096
)

// directory is the device that holds a directory.
type directory struct {
	path string
	file *os.File // the probe's; nil before the first one
}

func (d *directory) Space() (free, size uint64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.path, &fs); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", d.path, err)
	}
	return fs.Bavail * uint64(fs.Bsize), fs.Blocks * uint64(fs.Bsize), nil
}

// Probe overwrites the same block each time. The file never grows, so neither the file
// system nor the store has anything else to do for it.
func (d *directory) Probe() error {
	if d.file == nil {
		f, err := os.OpenFile(filepath.Join(d.path, probeName), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		d.file = f
	}
	if _, err := d.file.WriteAt(make([]byte, probeSize), 0); err != nil {
		return err
	}
	return syscall.Fdatasync(int(d.file.Fd()))
}

func (d *directory) Close() {
	if d.file != nil {
		_ = d.file.Close() // its content doesn't matter
		d.file = nil
	}
}
