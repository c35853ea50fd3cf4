package limits

import (
	"io/fs"
	"math"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing is known", nil, math.MaxInt64},
		{"version 2, in a container", map[string]string{
			"/proc/self/cgroup":         "0::/\n",
			"/sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 * mib},
		{"version 2, no limit", map[string]string{
			"/proc/self/cgroup":                               "0::/system.slice/copse.service\n",
			"/sys/fs/cgroup/system.slice/memory.max":          "max\n",
			"/sys/fs/cgroup/system.slice/copse.service/other": "1\n",
		}, math.MaxInt64},
		{"version 2, a group above is tighter", map[string]string{
			"/proc/self/cgroup":                                    "0::/system.slice/copse.service\n",
			"/sys/fs/cgroup/system.slice/memory.max":               "268435456\n",
			"/sys/fs/cgroup/system.slice/copse.service/memory.max": "536870912\n",
		}, 256 * mib},
		{"version 1, in a container that sees the machine's path", map[string]string{
			"/proc/self/cgroup":                           "9:name=systemd:/docker/0123\n8:cpu,cpuacct:/docker/0123\n4:memory:/docker/0123\n0::/docker/0123\n",
			"/sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n",
		}, 64 * mib},
		{"version 1, no limit", map[string]string{
			"/proc/self/cgroup":                           "4:memory:/\n",
			"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, math.MaxInt64},
		{"rubbish", map[string]string{
			"/proc/self/cgroup":         "memory\n0::../..\n\n",
			"/sys/fs/cgroup/memory.max": "-3\n",
		}, math.MaxInt64},
	} {
		got := memoryLimit(func(name string) ([]byte, error) {
			if text, ok := c.files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestCachesFollowTheMemory(t *testing.T) {
	const mib, none = 1 << 20, math.MaxInt64
	for _, c := range []struct{ limit, usable, want int64 }{
		{none, 512 * mib, 128 * mib},
		{none, 2048 * mib, 128 * mib},
		{none, 8192 * mib, 512 * mib},
		{none, 8192*mib - 4096, 511 * mib},
		{none, 1 << 40, 1024 * mib},
		{2 * mib, 2 * mib, mib},
		{256 * mib, 256 * mib, 64 * mib},
		{512 * mib, 512 * mib, 128 * mib},
		{4096 * mib, 4096 * mib, 256 * mib},
		{64 << 30, 64 << 30, 1024 * mib},
	} {
		if got := cachesOf(c.limit, c.usable); got != c.want {
			t.Errorf("of %d bytes, with a limit of %d: %d, want %d", c.usable, c.limit, got, c.want)
		}
	}
}
