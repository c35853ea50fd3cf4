package bounds_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/bench/peer"
)

var memories = flag.String("memory", "512", "how many MiB the server has in TestCrowds; a list")

// TestCrowds has many clients make the server hold all that they can, in little memory. It has
// to be alive at the end, and to serve a client that takes part in none of it meanwhile.
func TestCrowds(t *testing.T) {
	for _, crowd := range []struct {
		name  string
		lines func(*crowd)
	}{
		{"answers that are not read, then bodies short of a byte", (*crowd).unreadAnswers},
		{"large bodies of bytes that JSON writes as six", (*crowd).controlBytes},
		{"streams that are not read", (*crowd).unreadStreams},
		{"listings that are not read", (*crowd).unreadListings},
		{"large values that are read and not taken", (*crowd).unreadValues},
		{"removals of large values whose answers are not read", (*crowd).unreadRemovals},
		{"small writes over large values whose answers are not read", (*crowd).unreadOverwrites},
		{"watchers of what removals and small writes replace, none of them read", (*crowd).unreadPasts},
		{"watchers of what small writes replace, of bytes that JSON writes as six, none of them read", (*crowd).unreadLargePasts},
		{"transactions that remove large values, none of them read", (*crowd).unreadTransactions},
		{"half a request", (*crowd).halves},
		{"large heads short of a byte", (*crowd).largeHeads},
	} {
		for memory := range strings.SplitSeq(*memories, ",") {
			mebibytes, err := strconv.ParseInt(memory, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(crowd.name+" in "+memory+" MiB", func(t *testing.T) { gather(t, mebibytes<<20, crowd.lines) })
		}
	}
}

// crowd is many connections to one server.
type crowd struct {
	t     *testing.T
	node  *peer.Server
	conns []net.Conn
}

func gather(t *testing.T, memory int64, lines func(*crowd)) {
	c := &crowd{t: t, node: start(t, memory)}
	defer func() {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
	}()
	quiet := beside(t, c.node, func() { time.Sleep(2 * time.Second) })
	crowded := beside(t, c.node, func() {
		lines(c)
		alive(t, c.node)
	})
	t.Logf("a PUT takes, quiet: %v\nbeside %d connections: %v\nmost memory %s", quiet, len(c.conns), crowded, peak(t, c.node))
	if crowded.Served == 0 {
		t.Error("nobody else was served")
	}
}

// peak is the most memory that the process has had.
func peak(t *testing.T, node *peer.Server) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", node.PID()))
	if err != nil {
		t.Error(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// send opens a connection and sends text, of which the server may leave some unread.
func (c *crowd) send(text string) net.Conn {
	conn, err := net.Dial("tcp", c.node.Address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.conns = append(c.conns, conn)
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.WriteString(conn, text)
	return conn
}

// sendAll sends the same on many connections at once. Their long parts are one in memory: what the
// crowd itself takes of the processors isn't the server's.
func (c *crowd) sendAll(n int, text func(i int) net.Buffers) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			conn, err := net.Dial("tcp", c.node.Address)
			if err != nil {
				c.t.Error(err)
				return
			}
			mu.Lock()
			c.conns = append(c.conns, conn)
			mu.Unlock()
			_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
			parts := text(i)
			_, _ = parts.WriteTo(conn)
		})
	}
	group.Wait()
}

func putText(key string, value []byte, length int) net.Buffers {
	head := fmt.Sprintf("PUT /v2/keys%s HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\nvalue=", key, length)
	return net.Buffers{[]byte(head), value}
}

func text(s string) net.Buffers { return net.Buffers{[]byte(s)} }

func (c *crowd) unreadAnswers() {
	value := bytes.Repeat([]byte{1}, 2<<20)
	c.sendAll(24, func(i int) net.Buffers { return putText(fmt.Sprintf("/a%d", i), value, len(value)+6) })
	value = bytes.Repeat([]byte("v"), 10<<20-7)
	c.sendAll(20, func(i int) net.Buffers { return putText(fmt.Sprintf("/b%d", i), value, len(value)+7) })
}

func (c *crowd) controlBytes() {
	form := "value=" + strings.Repeat("\x01", 10<<20-6)
	var group sync.WaitGroup
	began := time.Now()
	for i := range 64 {
		group.Go(func() {
			for again := true; again; again = time.Since(began) < 4*time.Second {
				status, body, err := putForm(c.node, fmt.Sprintf("/large%d", i), form)
				if err != nil || status >= 300 && !strings.Contains(body, `"errorCode":300`) {
					c.t.Errorf("%d %s %v", status, body, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func (c *crowd) unreadStreams() {
	c.sendAll(200, func(int) net.Buffers {
		return text("GET /v2/keys/s?wait=true&stream=true&recursive=true HTTP/1.1\r\nHost: h\r\n\r\n")
	})
	value := strings.Repeat("v", 512<<10)
	for i := range 300 {
		if status, body, err := put(c.node, fmt.Sprintf("/s/%d", i%10), value); err != nil || status >= 300 && !strings.Contains(body, `"errorCode":300`) {
			c.t.Fatal(status, body, err)
		}
	}
}

func (c *crowd) unreadListings() {
	value := strings.Repeat("v", 1<<20)
	for i := range 100 {
		if status, body, err := put(c.node, fmt.Sprintf("/l/%d", i), value); err != nil || status != http.StatusCreated {
			c.t.Fatal(status, body, err)
		}
	}
	c.sendAll(100, func(i int) net.Buffers {
		return text("GET /v2/keys/l" + strings.Repeat("?recursive=true", i%2) + " HTTP/1.1\r\nHost: h\r\n\r\n")
	})
	time.Sleep(3 * time.Second) // for the server to fill what it may
}

func (c *crowd) unreadValues() {
	value := strings.Repeat("\x01", 10<<20-6)
	for i := range 3 {
		if status, body, err := put(c.node, fmt.Sprintf("/v/%d", i), value); err != nil || status != http.StatusCreated {
			c.t.Fatal(status, body, err)
		}
	}
	c.sendAll(60, func(i int) net.Buffers {
		return text("GET /v2/keys/v" + strings.Repeat("/1", i%2) + " HTTP/1.1\r\nHost: h\r\n\r\n")
	})
	time.Sleep(3 * time.Second) // for the server to fill what it may
}

// past is how many large values there are for small writes to replace.
const past = 40

// replaceUnread puts large values, and then has each replaced by a request, all at once.
func (c *crowd) replaceUnread(value string, before func(), request func(i int) string) {
	form := "value=" + strings.Repeat(value, 10<<20-6)
	for i := range past {
		if status, body, err := putForm(c.node, fmt.Sprintf("/r/%d", i), form); err != nil || status != http.StatusCreated {
			c.t.Fatal(status, body, err)
		}
	}
	before()
	c.sendAll(past, func(i int) net.Buffers { return text(request(i)) })
	time.Sleep(8 * time.Second) // for the server to answer what it may, and to give up the rest
	for i := range past {
		c.replaced(i)
	}
}

// replaced waits until the value of a key is no longer the large one: writes whose clients have been told that they
// took too long may still be under way.
func (c *crowd) replaced(i int) {
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(fmt.Sprintf("%s/v2/keys/r/%d", c.node.URL, i))
		if err != nil {
			c.t.Fatal(err)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 200))
		if resp.Body.Close(); err == nil && resp.StatusCode < 500 && !strings.Contains(string(body), `\u0001`) && !strings.Contains(string(body), "vvv") {
			return
		}
		if time.Since(began) > patience {
			c.t.Fatalf("%d isn't replaced: %d %s %v", i, resp.StatusCode, body, err)
		}
	}
}

func (c *crowd) unreadRemovals() {
	c.replaceUnread("\x01", func() {}, remove)
}

func remove(i int) string {
	return fmt.Sprintf("DELETE /v2/keys/r/%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
}

func overwrite(i int) string {
	return fmt.Sprintf("PUT /v2/keys/r/%d?value=small HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", i)
}

func (c *crowd) unreadOverwrites() { c.replaceUnread("\x01", func() {}, overwrite) }

// watchUnread has watchers, every other of them a stream, that want the events and don't read them.
func (c *crowd) watchUnread() {
	c.sendAll(20, func(i int) net.Buffers {
		return text("GET /v2/keys/r?wait=true&recursive=true" + strings.Repeat("&stream=true", i%2) + " HTTP/1.1\r\nHost: h\r\n\r\n")
	})
}

func (c *crowd) unreadLargePasts() {
	var reading sync.WaitGroup
	c.replaceUnread("\x01", func() {
		c.watchUnread()
		reading.Go(c.follow)
	}, overwrite)
	reading.Wait()
}

func (c *crowd) unreadPasts() {
	c.replaceUnread("v", c.watchUnread, func(i int) string {
		if i%2 == 0 {
			return remove(i)
		}
		return overwrite(i)
	})
}

func (c *crowd) unreadTransactions() {
	c.replaceUnread("\x01", func() {}, func(i int) string {
		body := fmt.Sprintf(`{"ops":[{"op":"delete","key":"/r/%d"}]}`, i)
		return fmt.Sprintf("POST /v2/copse/txn HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
}

func (c *crowd) halves() {
	for range 10_000 {
		c.send("GET /v2/keys/a HTTP/1.1\r\nHost: h\r\nX-Half")
	}
}

func (c *crowd) largeHeads() {
	head := []byte("GET /v2/keys/a?x=" + strings.Repeat("a", 1<<20))
	c.sendAll(200, func(int) net.Buffers { return net.Buffers{head} })
	time.Sleep(time.Second)
}
