package limits

import (
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// Memory keeps the process to the memory that it may use, caches of that size included. Go's runtime doesn't ask the kernel for the limit, and lets
// garbage pile up until the process is killed: so it is told to aim for 80 % of the
// limit, less the caches, unless GOMEMLIMIT sets an aim. The cache of nodes is
// outside of the memory that the runtime knows of.
func Memory(caches int64, log *slog.Logger) {
	limit := memoryLimit(os.ReadFile)
	if limit == math.MaxInt64 {
		log.Info("memory is not limited", "component", "main", "cache_b", caches)
		return
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(max(limit/10*8-caches, limit/2))
	}
	log.Info("memory is limited", "component", "main", "limit_b", limit, "runtime_b", debug.SetMemoryLimit(-1), "cache_b", caches)
}

// Of the memory that there is, caches have one part in cacheShare by default, from cacheLeast up to cacheMost.
const (
	cacheShare = 16
	cacheLeast = 128 << 20
	cacheMost  = 1 << 30
)

// CacheSize is the size that caches have if none is chosen.
func CacheSize() int64 {
	limit := memoryLimit(os.ReadFile)
	return cachesOf(limit, usable(limit))
}

// cachesOf is that size in whole MiB, and never more than a quarter of a limit.
func cachesOf(limit, usable int64) int64 {
	const mib = 1 << 20
	size := min(max(usable/cacheShare, cacheLeast), cacheMost, limit/4)
	return max(size/mib, 1) * mib
}

// InFlight is how many bytes requests under way may hold together: a quarter of the memory
// that this process may use.
func InFlight() int64 { return usable(memoryLimit(os.ReadFile)) / 4 }

// usable is the memory that there is for this process: the limit, or what the machine has.
func usable(limit int64) int64 {
	var machine syscall.Sysinfo_t
	if syscall.Sysinfo(&machine) != nil {
		return limit
	}
	return min(limit, int64(machine.Totalram)*int64(machine.Unit)) //nolint:unconvert // their types differ by architecture
}

// memoryLimit is the limit in bytes that the control groups of this process set, or
// math.MaxInt64 if there is none.
func memoryLimit(readFile func(string) ([]byte, error)) int64 {
	limit := int64(math.MaxInt64)
	groups, err := readFile("/proc/self/cgroup")
	if err != nil {
		return limit // not Linux, or nothing is mounted
	}
	for _, line := range strings.Split(string(groups), "\n") {
		// number:controllers:path, where version 2 has the number 0 and no controllers.
		fields := strings.SplitN(line, ":", 3)
		if len(fields) < 3 {
			continue
		}
		root, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		switch fields[1] {
		case "memory":
		case "":
			root, file = "/sys/fs/cgroup", "memory.max"
		default:
			continue
		}
		// The groups above set limits too. In a container the path may be the
		// machine's, and only its root is visible.
		for dir := path.Clean("/" + fields[2]); ; dir = path.Dir(dir) {
			if text, err := readFile(path.Join(root, dir, file)); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < unlimited {
					limit = min(limit, n)
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return limit
}

// unlimited lies between the memory of any machine and the number that version 1 has
// for "no limit".
const unlimited = 1 << 60
