package limits

import (
	"bufio"
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
		var next mapping
		var rights, offset, device, inode, path, key string
		var size int
		// 00400000-01487000 r-xp 00000000 fe:00 10010737   /usr/bin/copse
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s %s %s %s %s", &next.begin, &next.end, &rights, &offset, &device, &inode, &path); n >= 3 {
			at, fromFile = next, path == file && (rights == "r-xp" || rights == "r--p")
			continue
		}
		_, _ = fmt.Sscanf(lines.Text(), "%s %d kB", &key, &size)
		switch {
		case (key == "Anonymous:" || key == "Swap:") && size > 0:
			fromFile = false
		case key == "VmFlags:" && fromFile: // the last line of a mapping
			list = append(list, at)
		}
	}
	return list
}
