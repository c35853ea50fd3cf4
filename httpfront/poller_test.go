package httpfront

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThePollerMissesNothing has clients that each send a byte as soon as the last one is read, or
// ring as soon as their ring is heard. Whoever is missed waits for ever.
func TestThePollerMissesNothing(t *testing.T) {
	for name, test := range map[string]struct{ clients, bytes, rings int }{
		"one client":    {clients: 1, bytes: 20000},
		"several":       {clients: 4, bytes: 20000},
		"one who rings": {clients: 1, rings: 5000},
		"all of them":   {clients: 4, bytes: 20000, rings: 5000},
	} {
		t.Run(name, func(t *testing.T) { missesNothing(t, test.clients, test.bytes, test.rings) })
	}
}

func missesNothing(t *testing.T, clients, bytes, rings int) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	var asked atomic.Int32 // by ringers, and not yet heard
	heard := make(chan struct{}, clients)
	var ringers sync.WaitGroup
	ours, theirs := make([]int, clients), make([]int, clients)
	for i := range clients {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours[i], theirs[i] = pair[0], pair[1]
		defer func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) }()
		if err := p.add(ours[i], token{slot: int32(i)}); err != nil {
			t.Fatal(err)
		}
		_, _ = writeNow(theirs[i], []byte("."))
		ringers.Go(func() {
			for range rings {
				asked.Add(1)
				p.ring()
				<-heard
			}
		})
	}
	read, rung := 0, 0
	var buf [8]byte
	p.attend(func(events []unix.EpollEvent) bool {
		for _, ev := range events {
			i := tokenOf(&ev).slot
			n, _ := readNow(ours[i], buf[:])
			if read += n; n > 0 && read < bytes {
				_, _ = writeNow(theirs[i], []byte("."))
			}
		}
		for range asked.Swap(0) {
			rung++
			heard <- struct{}{}
		}
		return read < bytes || rung < clients*rings
	}, func() bool { return asked.Load() == 0 })
	ringers.Wait()
}
