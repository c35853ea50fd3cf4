package peer

import "fmt"

// Relaunch starts the server again on the same data and ports, killing it first if
// it still runs, and returns without waiting until it serves: for callers that measure
// that time, or kill it again meanwhile.
func (s *Server) Relaunch() error {
	s.Kill()
	proc, err := startProcess(s.command)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Kind, err)
	}
	s.proc = proc
	return nil
}
