package peer

import "fmt"

// Relaunch starts the server again on the same data and ports, killing what
// still runs, and returns without waiting until it serves: for who measures
// that time, or kills again in the middle of it.
func (s *Server) Relaunch() error {
	s.Kill()
	proc, err := startProcess(s.command)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Kind, err)
	}
	s.proc = proc
	return nil
}
