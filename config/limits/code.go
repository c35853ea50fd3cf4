package limits

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ReleaseCode unmaps the program's code and constants, once the start is over. They come back
// from the system's cache of the program's file as they are used, sixteen pages a fault. The
// start touches nearly all of them, if only to initialize packages; what a server goes on
// using is a third. Where the system doesn't allow it, nothing happens.
func ReleaseCode() {
	self, err := os.Executable()
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, m := range unchanged(f, self) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_DONTNEED)
	}
}

type mapping struct{ begin, end uintptr }

// unchanged returns the mappings of the file that are as in the file, and can't be written. A
// debugger's breakpoints, and what a dynamic linker has filled in, would be lost.
func unchanged(smaps io.Reader, file string) (list []mapping) {
	var at mapping
	var fromFile bool
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Bytes()
		switch {
		case len(line) > 0 && line[0] >= 'A' && line[0] <= 'Z': // of the mapping above
			if !fromFile {
				continue
			}
			var key string
			var size int
			_, _ = fmt.Sscanf(string(line), "%s %d kB", &key, &size)
			switch {
			case (key == "Anonymous:" || key == "Swap:") && size > 0:
				fromFile = false
			case key == "VmFlags:": // its last line
				list = append(list, at)
			}
		default: // 00400000-01487000 r-xp 00000000 fe:00 10010737   /usr/bin/copse
			var rights, offset, device, inode, path string
			fromFile = bytes.HasSuffix(line, []byte(file))
			if fromFile {
				_, err := fmt.Sscanf(string(line), "%x-%x %s %s %s %s %s", &at.begin, &at.end, &rights, &offset, &device, &inode, &path)
				fromFile = err == nil && path == file && (rights == "r-xp" || rights == "r--p")
			}
		}
	}
	return list
}
