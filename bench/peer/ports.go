package peer

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// pickPorts takes two free ports from below the range that the kernel gives
// to outgoing connections; one of those could sit on our port when the server
// restarts.
func (s *Server) pickPorts() error {
	var free [2]string
	for i := range free {
		l, err := listenLow(rand.IntN)
		if err != nil {
			return err
		}
		defer l.Close() // held until both are known, so that they differ
		free[i] = l.Addr().String()
	}
	s.settle(Place{Name: s.Name, Address: free[0], PeerURL: "http://" + free[1]})
	return nil
}

// FreePorts picks addresses of 127.0.0.1 that are free now, from a seed.
func FreePorts(rng *rand.Rand, n int) ([]string, error) {
	var free []string
	for range n {
		l, err := listenLow(rng.IntN)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		free = append(free, l.Addr().String())
	}
	return free, nil
}

// FreePort picks one address at random.
func FreePort() (string, error) {
	free, err := FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 1)
	if err != nil {
		return "", err
	}
	return free[0], nil
}

// given are the claims to the ports that this process picked last. They are free until their servers start, and whenever
// those stop for a moment, but are not for others, in this process or in another: a claim is a socket with the
// port's name, which the kernel closes with the process.
var given struct {
	sync.Mutex
	claims [500]net.Listener
	next   int
}

// take reports whether a port is nobody's.
func take(port int) bool {
	claim, err := net.Listen("unix", fmt.Sprintf("@copse-bench-port-%d", port))
	if err != nil {
		return false
	}
	given.Lock()
	defer given.Unlock()
	if oldest := given.claims[given.next]; oldest != nil {
		_ = oldest.Close()
	}
	given.claims[given.next] = claim
	given.next = (given.next + 1) % len(given.claims)
	return true
}

func listenLow(intN func(int) int) (l net.Listener, err error) {
	const lowest, highest, tries = 10000, 32000, 100
	for range tries {
		port := lowest + intN(highest-lowest)
		if !take(port) {
			continue
		}
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}
