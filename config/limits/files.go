package limits

import (
	"os/signal"
	"syscall"
)

// OpenFiles is how many files may be opened, and by whom.
type OpenFiles struct {
	Clients int // connections of clients
	Store   int // tables that one shard's store keeps open
}

// Files divides the files that the system lets this process open. The raft log and
// the stores can't work without theirs, so clients get what these leave. Where the system
// limits the size of files, a write beyond that shall be an error as on a full disk, and
// not a signal that ends the process with a stack.
func Files() OpenFiles {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		limit.Cur = 1024
	}
	return share(limit.Cur)
}

func share(limit uint64) OpenFiles {
	all := int(min(limit, 1<<30))
	reserve := min(max(all/4, 100), 1500)
	return OpenFiles{Clients: max(all-reserve, 10), Store: reserve / 3}
}
