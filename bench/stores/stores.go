package stores

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"copse/bench/peer"
)

// Client is one connection to a server, for one goroutine.
type Client interface {
	Put(key string, value []byte) error
	// Get reads a key that exists, from the server that is asked, as it is there.
	Get(key string) error
	Close()
}

// Kind is a kind of server, with its API.
type Kind struct {
	Name  string
	start func() (*Server, error)
	dial  func(address string) (Client, error)
}

// Kinds are all there are; the first is copse.
var Kinds = []Kind{
	{"copse", ofPeer(peer.Copse), dialV2},
	{"etcd 3.5, v2", ofPeer(peer.Etcd35), dialV2},
	{"etcd 3.5, v3", ofPeer(peer.Etcd35), dialV3},
	{"NATS JetStream KV", startNATS, dialNATS},
	{"Redis, appendfsync always", startRedis, dialRedis},
}

// Server is a running server.
type Server struct {
	PID     int
	address string
	close   func() error
}

// Start runs a server of the kind on an empty directory.
func (k *Kind) Start() (*Server, error) {
	s, err := k.start()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", k.Name, err)
	}
	return s, nil
}

// Dial connects to a server of the kind.
func (k *Kind) Dial(s *Server) (Client, error) { return k.dial(s.address) }

// Close ends the server and removes its directory.
func (s *Server) Close() error { return s.close() }

func ofPeer(kind peer.Kind) func() (*Server, error) {
	return func() (*Server, error) {
		s, err := peer.Launch(kind, peer.Options{})
		if err != nil {
			return nil, err
		}
		return &Server{PID: s.PID(), address: s.Address, close: s.Close}, nil
	}
}

// startLimit is how long a server may take until it listens.
const startLimit = 10 * time.Second

// run starts a program that listens at a free port and keeps its data in a directory of its own.
func run(command func(dir string, port int) *exec.Cmd) (*Server, error) {
	address, err := peer.FreePort()
	if err != nil {
		return nil, err
	}
	_, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text) // both are of our own making
	dir, err := os.MkdirTemp("", "stores-")
	if err != nil {
		return nil, err
	}
	cmd := command(dir, port)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{PID: cmd.Process.Pid, address: address, close: func() error {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
		return os.RemoveAll(dir)
	}}
	for end := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return s, c.Close()
		}
		if time.Now().After(end) {
			tail, _ := os.ReadFile(log.Name())
			return nil, errors.Join(fmt.Errorf("%w\n%s", err, tail), s.close())
		}
	}
}

// startRedis runs Debian's redis-server.
func startRedis() (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("%w: apt-get install redis-server", err)
	}
	return run(func(dir string, port int) *exec.Cmd {
		return exec.Command("redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
			"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	})
}

// redis speaks as much of Redis's protocol as Put and Get need.
type redis struct {
	net.Conn
	in  *bufio.Reader
	out []byte
}

func dialRedis(address string) (Client, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &redis{Conn: c, in: bufio.NewReader(c)}, nil
}

func (r *redis) Close() { _ = r.Conn.Close() }

func (r *redis) Put(key string, value []byte) error {
	reply, err := r.do("SET", key, string(value))
	if err == nil && reply != "+OK" {
		err = fmt.Errorf("SET: %s", reply)
	}
	return err
}

func (r *redis) Get(key string) error {
	reply, err := r.do("GET", key)
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(reply[1:])
	if err != nil || reply[0] != '$' || size < 0 {
		return fmt.Errorf("GET: %s", reply)
	}
	_, err = r.in.Discard(size + len("\r\n"))
	return err
}

// do sends a command and returns the first line of the reply.
func (r *redis) do(words ...string) (string, error) {
	r.out = fmt.Appendf(r.out[:0], "*%d\r\n", len(words))
	for _, w := range words {
		r.out = fmt.Appendf(r.out, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := r.Write(r.out); err != nil {
		return "", err
	}
	line, err := r.in.ReadString('\n')
	if err == nil && len(line) < len("+\r\n") {
		err = fmt.Errorf("reply %q", line)
	}
	if err != nil {
		return "", err
	}
	return line[:len(line)-2], nil
}
