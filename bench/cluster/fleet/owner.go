package fleet

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// owner finds the member whose process has a connection from this address: the
// kernel lists connections with the inode of their socket, and the files of a
// process by it.
func (f *Fleet) owner(from net.Addr) int {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return -1
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return -1
	}
	inode := socketInode(string(table), tcp.Port)
	if inode == "" {
		return -1
	}
	for i := range f.pids {
		if pid := f.pids[i].Load(); pid != 0 && hasSocket(pid, inode) {
			return i
		}
	}
	return -1
}

// socketInode finds the socket on a local port of 127.0.0.1 that is no
// listener's.
func socketInode(table string, port int) string {
	want := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(table) {
		// sl local remote state queues timer retransmits uid timeout inode
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[1] == want && fields[3] != "0A" {
			return fields[9]
		}
	}
	return ""
}

func hasSocket(pid int64, inode string) bool {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return false
	}
	want := "socket:[" + inode + "]"
	for _, file := range files {
		if link, err := os.Readlink(filepath.Join(fmt.Sprintf("/proc/%d/fd", pid), file.Name())); err == nil && link == want {
			return true
		}
	}
	return false
}
