package limits

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestOnlyWhatIsAsInTheFileIsUnmapped(t *testing.T) {
	var smaps strings.Builder
	add := func(header string, anonymous, swap int) {
		fmt.Fprintf(&smaps, "%s\nSize: 4096 kB\nRss: 512 kB\nAnonymous: %d kB\nSwap: %d kB\nTHPeligible: 0\nVmFlags: rd mr mw me\n", header, anonymous, swap)
	}
	add("00400000-00500000 r-xp 00000000 fe:00 10010737                           /usr/bin/copse", 0, 0)
	add("00500000-00600000 r--p 00100000 fe:00 10010737                           /usr/bin/copse", 0, 0)
	add("00600000-00700000 r-xp 00200000 fe:00 10010737                           /usr/bin/copse", 4, 0) // a breakpoint
	add("00700000-00800000 r--p 00300000 fe:00 10010737                           /usr/bin/copse", 0, 4) // relocated
	add("00800000-00900000 rw-p 00400000 fe:00 10010737                           /usr/bin/copse", 0, 0)
	add("00900000-00a00000 r-xp 00000000 fe:00 10010738                           /usr/lib/libc.so", 0, 0)
	add("00a00000-00b00000 r--p 00000000 00:00 0", 0, 0)
	got := unchanged(strings.NewReader(smaps.String()), "/usr/bin/copse")
	if want := []mapping{{0x400000, 0x500000}, {0x500000, 0x600000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestReleasedCodeIsNotResident(t *testing.T) {
	before := resident(t)
	ReleaseCode()
	if after := resident(t); after >= before {
		t.Errorf("%d kB of files are resident, %d before", after, before)
	}
}

// resident is how much of files this process has mapped and in memory, in kB.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
