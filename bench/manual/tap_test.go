package manual

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// tap passes connections on to a server, and keeps what goes over them.
type tap struct {
	net.Listener
	to    string
	open  sync.WaitGroup // its goroutines
	mu    sync.Mutex
	calls []call
}

// call is a request and its answer, the body read. Where the client has gone before the end
// the body is what it got.
type call struct {
	request  *http.Request
	form     []byte
	response *http.Response
	body     []byte
}

func newTap(t *testing.T, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{Listener: l, to: to}
	p.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.open.Go(func() {
				if err := p.pass(c); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(p.stop)
	return p
}

// stop waits until all that went over it is kept.
func (p *tap) stop() {
	p.Close()
	p.open.Wait()
}

// pass serves one connection, until either side closes it.
func (p *tap) pass(client net.Conn) error {
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return errors.Join(err, client.Close())
	}
	var sent, received bytes.Buffer
	var answering sync.WaitGroup
	answering.Go(func() {
		_, _ = io.Copy(io.MultiWriter(client, &received), server) // until one of the two has gone
		client.Close()
	})
	_, _ = io.Copy(io.MultiWriter(server, &sent), client)
	server.Close()
	answering.Wait()
	return p.keep(bufio.NewReader(&sent), bufio.NewReader(&received))
}

// keep reads the requests and the answers of one connection.
func (p *tap) keep(sent, received *bufio.Reader) error {
	for {
		var c call
		var err error
		if c.request, err = http.ReadRequest(sent); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if c.form, err = io.ReadAll(c.request.Body); err != nil {
			return err
		}
		if c.response, err = http.ReadResponse(received, c.request); err != nil {
			return err
		}
		if c.body, err = io.ReadAll(c.response.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		p.mu.Lock()
		p.calls = append(p.calls, c)
		p.mu.Unlock()
	}
}
