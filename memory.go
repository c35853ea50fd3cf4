package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryFiles tell the memory that a container may have: of cgroups of the second
// version, and of the first.
var memoryFiles = [...]string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// memoryUnlimited is above what any machine has: cgroups of the first version say
// "no limit" with a number like this.
const memoryUnlimited = 1 << 50

// aimBelowLimit makes the runtime collect garbage harder before the container's
// limit ends the process: it aims at four fifths of it, for the stores' caches and
// memory tables are in the rest. GOMEMLIMIT wins. It returns the aim, 0 if there is
// none.
func aimBelowLimit(environ, files []string) int64 {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, "GOMEMLIMIT="); ok && value != "" {
			return 0
		}
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || limit <= 0 || limit > memoryUnlimited {
			continue // "max": no limit
		}
		return limit / 5 * 4
	}
	return 0
}

func limitMemory(environ []string) {
	if aim := aimBelowLimit(environ, memoryFiles[:]); aim > 0 {
		debug.SetMemoryLimit(aim)
	}
}
