package httpfront

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"copse/statemachine/tree"

	"golang.org/x/sys/unix"
)

// socketPair returns both ends of a TCP connection.
func socketPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
	})
	return server, client
}

// TestALongAnswerIsOneWrite checks that the first piece of an answer waits for the second,
// and that all of it arrives.
func TestALongAnswerIsOneWrite(t *testing.T) {
	p, err := newTestPollLoop(pollLoopOptions{unwatch: func(*tree.Watch) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	server, client := socketPair(t)
	c := newConn(p, server, nil, nil)
	write := func(text string) {
		t.Helper()
		if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	long := strings.Repeat("b", writeBuffer)
	c.inParts(len(long))
	write("head")
	(*c.first)[0] = 'H' // it would be too late if it had been sent
	write(long)
	c.inParts(10)
	write("short")
	_ = server.Close()
	got, err := io.ReadAll(client)
	if want := "Head" + long + "short"; err != nil || string(got) != want {
		t.Errorf("got %d bytes, %.20q, %v; want %d", len(got), got, err, len(want))
	}
}

func TestWhatIsReadInOneLifeIsLeftForTheNext(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	p := lt.loop
	server, client := socketPair(t)
	head1, head2, head3 := getLine("/a"), getLine("/slow"), getLine("/c")
	if _, err := io.WriteString(client, head3); err != nil {
		t.Fatal(err)
	}

	first := newConn(p, server, nil, []byte(head1+head2))
	var b [2]byte
	if n, err := first.Read(b[:]); n != 2 || err != nil || string(b[:]) != "GE" {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	w := &parked{loop: p, manner: manner{chunked: true, keepAlive: true}}
	first.expect(w)
	first.handOver(strings.NewReader("GE"), nil) // fasthttp hasn't looked at it
	_ = first.Close()
	w.Deliver(&tree.EncodedEvent{Index: 4})
	_ = client.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(client)
	if _, err := io.CopyN(io.Discard, r, int64(len(lastChunk)+len("0\r\n\r\n"))); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"/a", "/slow", "/c"} {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(answer.Body); string(body) != "plain "+key || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
	}
}

func TestEventsOfAConnectionThatHasLeftAreIgnored(t *testing.T) {
	server, _ := socketPair(t)
	sock, err := newSocket(server, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := &parked{sock: sock, token: token{slot: 0, generation: 2}}
	l := &parkedConns{options: &pollLoopOptions{meter: new(parkMeter)}, slots: slotTable{list: []*parked{now}}}
	l.look([]unix.EpollEvent{{Events: unix.EPOLLHUP, Fd: 0, Pad: 1}})
	if now.stage != watching {
		t.Error("the slot's next connection was dropped")
	}
	l.look([]unix.EpollEvent{{Events: unix.EPOLLHUP, Fd: 0, Pad: 2}, {Events: unix.EPOLLIN, Fd: 0, Pad: 2}})
	if now.stage != gone {
		t.Error("the connection that left wasn't dropped")
	}
}

func TestDeadlinesAreSetWhereTheyMakeADifference(t *testing.T) {
	start := time.Now()
	const slack = time.Second
	var d deadline
	for i, c := range []struct {
		at    time.Duration
		armed bool
	}{
		{time.Minute, true}, {time.Minute, false}, {time.Minute + slack/2, false}, {time.Minute + slack, true},
		{time.Minute + slack/2, true}, {time.Second, true}, {time.Minute, true},
	} {
		armed := false
		d.at = start.Add(c.at)
		if err := d.arm(slack, func(time.Time) error { armed = true; return nil }); err != nil || armed != c.armed {
			t.Errorf("deadline %d, at %v: armed %v, %v", i, c.at, armed, err)
		}
	}
	armed := false
	d.at = time.Time{}
	_ = d.arm(slack, func(time.Time) error { armed = true; return nil })
	if !armed {
		t.Error("no deadline at all isn't taken for one")
	}
}
