package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"copse/config/certs/tlstest"
)

// process is copse in a process of its own.
type process struct {
	t      *testing.T
	client string
	cmd    *exec.Cmd
	log    *logBuffer
	ended  chan error
}

// startProcess starts one and waits until it says that it is ready.
func startProcess(t *testing.T, dir string, more ...string) *process {
	t.Helper()
	address, args := arguments(t, dir, more...)
	p := launchProcess(t, address, args)
	p.await("ready to serve")
	return p
}

func launchProcess(t *testing.T, address string, args []string) *process {
	t.Helper()
	p := &process{t: t, client: address, log: &logBuffer{grew: make(chan struct{}, 1)}, ended: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), serveVariable+"=1")
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// await waits until the log holds text.
func (p *process) await(text string) {
	p.t.Helper()
	limit := time.After(time.Minute)
	for !strings.Contains(p.log.String(), text) {
		select {
		case <-p.log.grew:
		case err := <-p.ended:
			p.t.Fatalf("ended before it said %q: %v\n%s", text, err, p.log)
		case <-limit:
			p.t.Fatalf("never said %q:\n%s", text, p.log)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for it to end by itself, with exit code 0 and the text in its log.
func (p *process) ends(text string) {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if err != nil || !strings.Contains(p.log.String(), text) {
			p.t.Errorf("%v; its log, which should say %q:\n%s", err, text, p.log)
		}
	case <-time.After(time.Minute):
		p.t.Fatalf("it never ends:\n%s", p.log)
	}
}

// stop ends it as an operator does.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := <-p.ended; err != nil {
		p.t.Errorf("%v:\n%s", err, p.log)
	}
}

func TestASignalIsAGracefulStopAndASecondOneTheEnd(t *testing.T) {
	t.Run("one", func(t *testing.T) {
		p := startProcess(t, t.TempDir())
		c := client(t)
		resp, err := c.Get(p.client + "/v2/keys/a?wait=true")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		p.signal(syscall.SIGTERM)
		if body, err := io.ReadAll(resp.Body); len(body) > 0 || err != nil {
			t.Errorf("the poll ended with %q, %v", body, err)
		}
		if err := <-p.ended; err != nil {
			t.Errorf("%v:\n%s", err, p.log)
		}
	})
	t.Run("two", func(t *testing.T) {
		operations := "http://" + freeAddress(t)
		p := startProcess(t, t.TempDir(), "--drain-delay=1h", "--listen-metrics-urls", operations)
		c := client(t)
		p.signal(syscall.SIGTERM)
		for _, base := range []string{p.client, operations} {
			eventually(t, "it is not ready", func() bool {
				code, body := fetch(t, c, base+"/readyz")
				return code == 503 && strings.Contains(body, "[-]draining failed: the server is about to stop")
			})
			if code, body := fetch(t, c, base+"/livez"); code != 200 {
				t.Errorf("a draining server is taken for dead: %s", body)
			}
		}
		// It goes on serving, until a second signal ends it at once.
		if code, body := fetch(t, c, p.client+"/v2/keys"); code != 200 {
			t.Errorf("a read while draining: %d %s", code, body)
		}
		p.signal(syscall.SIGTERM)
		err := <-p.ended
		state := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !state.Signaled() || state.Signal() != syscall.SIGTERM {
			t.Errorf("%v:\n%s", err, p.log)
		}
	})
}

func TestAHangupReadsTheCertificatesAgain(t *testing.T) {
	a, other, dir, peerDir := tlstest.New(t), tlstest.New(t), t.TempDir(), t.TempDir()
	address, args := arguments(t, t.TempDir())
	for i := range args { // peers are to speak TLS as well
		args[i] = strings.ReplaceAll(args[i], "http://", "https://")
	}
	address = strings.Replace(address, "http:", "https:", 1)
	cert, key := a.WriteFiles(dir, "server")
	args = append(args, "--cert-file="+cert, "--key-file="+key, "--trusted-ca-file="+a.WriteCA(dir))
	p := launchProcess(t, address, append(args, peerFiles(a, peerDir, "peer")...))
	p.await("ready to serve")
	serves := func(from *tlstest.Authority, want bool) {
		t.Helper()
		config := a.Client("")
		config.Certificates = from.Client("me").Certificates
		c := secureClient(t, config)
		resp, err := c.Get(address + "/version")
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("it serves: %v, want %v: %v", err == nil, want, err)
		}
	}
	serves(a, true)
	serves(other, false)
	other.WriteCA(dir)
	p.signal(syscall.SIGHUP)
	p.await("SIGHUP: all certificates read again")
	serves(other, true)
	serves(a, false)

	if err := os.WriteFile(peerDir+"/server.key", []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.await("SIGHUP: certificates can't be used")
	serves(other, true)
	p.stop()
}

func TestAHangupWithNothingToReadIsNoEnd(t *testing.T) {
	p := startProcess(t, t.TempDir())
	for range 3 {
		p.signal(syscall.SIGHUP)
	}
	p.await("SIGHUP: there are no certificates")
	if code, body := fetch(t, client(t), p.client+"/v2/keys"); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	p.stop()
}
