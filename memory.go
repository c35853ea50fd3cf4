package main

import (
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"copse/config"
)

// A container, or a unit with MemoryMax, has less memory than its machine. Go's
// runtime asks nobody about that, and lets garbage lie until the kernel ends the
// process: so it is told.

// keepToMemory makes the runtime aim for 80 % of what the process may use, unless
// GOMEMLIMIT says otherwise, and the caches take a quarter at most, unless their
// size is set.
func keepToMemory(c *config.Config, log *slog.Logger) {
	limit := memoryLimit(os.ReadFile)
	if limit == math.MaxInt64 {
		return
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 10 * 8)
	}
	if !c.Given("cache-size") {
		c.CacheSize = min(c.CacheSize, max(limit/4, 1<<20))
	}
	log.Info("memory is limited", "component", "main", "limit_b", limit, "runtime_b", debug.SetMemoryLimit(-1), "cache_b", c.CacheSize)
}

// memoryLimit is what the control groups of this process leave it, math.MaxInt64 if
// they don't limit it.
func memoryLimit(readFile func(string) ([]byte, error)) int64 {
	limit := int64(math.MaxInt64)
	groups, err := readFile("/proc/self/cgroup")
	if err != nil {
		return limit // not Linux, or nothing mounted: nothing is known
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
		// A group is limited by those above it too. In a container the path may be
		// the machine's, of which only the root can be seen.
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

// unlimited is below what version 1 says where there is no limit, and above what a
// machine has.
const unlimited = 1 << 60
