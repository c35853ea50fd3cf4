package peer

import (
	"fmt"
	"syscall"
)

// Place is where a member of a cluster listens, and which cluster it belongs to. The
// default of the empty fields is a cluster of one.
type Place struct {
	Name      string
	Address   string // the client's host:port
	PeerURL   string // where it listens for its peers,
	Advertise string // and the URL that it advertises
	Cluster   string // name=URL,name=URL
	State     string // new or existing
	Token     string
}

func (s *Server) settle(p Place) {
	if p.Advertise == "" {
		p.Advertise = p.PeerURL
	}
	if p.Cluster == "" {
		p.Cluster = p.Name + "=" + p.Advertise
	}
	if p.State == "" {
		p.State = "new"
	}
	if p.Token == "" {
		p.Token = "etcd-cluster"
	}
	s.place = p
	s.Name, s.Address, s.URL, s.PeerURL = p.Name, p.Address, "http://"+p.Address, p.PeerURL
}

// Prepare returns a member of a cluster that has not been started yet:
// Relaunch starts it, WaitReady waits until its cluster serves.
func Prepare(kind Kind, opts Options, place Place) (*Server, error) {
	binary, err := Binary(kind)
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, binary: binary, opts: opts}
	if err := s.prepareDir(); err != nil {
		return nil, err
	}
	s.settle(place)
	return s, nil
}

// Place is where the server listens, and the cluster that it belongs to.
func (s *Server) Place() Place { return s.place }

// Advertise is the URL that the member's peers know.
func (s *Server) Advertise() string { return s.place.Advertise }

// Join changes the cluster's settings for the next start.
func (s *Server) Join(cluster, state string) { s.place.Cluster, s.place.State = cluster, state }

// Become changes the program for the next start.
func (s *Server) Become(kind Kind) error {
	binary, err := Binary(kind)
	if err == nil {
		s.Kind, s.binary = kind, binary
	}
	return err
}

// Pause stops the process with SIGSTOP, until Resume.
func (s *Server) Pause() error { return s.tell(syscall.SIGSTOP) }

// Resume continues a paused process.
func (s *Server) Resume() error { return s.tell(syscall.SIGCONT) }

func (s *Server) tell(sig syscall.Signal) error {
	if err := s.proc.signal(sig); err != nil {
		return fmt.Errorf("%v to %s: %w", sig, s.Name, err)
	}
	return nil
}
