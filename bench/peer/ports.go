package peer

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// pickPorts takes two free ports from below the range that the kernel gives
// to outgoing connections; one of those could sit on our port when the server
// restarts.
func (s *Server) pickPorts() error {
	var free [2]string
	for i := range free {
		l, err := listenLow()
		if err != nil {
			return err
		}
		defer l.Close() // held until both are known, so that they differ
		free[i] = l.Addr().String()
	}
	s.Address, s.URL, s.PeerURL = free[0], "http://"+free[0], "http://"+free[1]
	return nil
}

func listenLow() (l net.Listener, err error) {
	const lowest, highest, tries = 10000, 32000, 100
	for range tries {
		port := lowest + rand.IntN(highest-lowest)
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}
