package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// wire is one keep-alive connection that sends prepared requests and parses
// as little of the answers as possible.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	host string
}

// answerLimit is for one request.
const answerLimit = 2 * time.Minute

func dial(address string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 4096), host: address}, nil
}

func (w *wire) close() { w.conn.Close() }

// put sets a key; the value must need no escapes.
func (w *wire) put(key, value string) error {
	w.out = append(w.out[:0], "PUT /v2/keys"...)
	w.out = append(w.out, key...)
	w.out = append(w.out, " HTTP/1.1\r\nHost: "...)
	w.out = append(w.out, w.host...)
	w.out = append(w.out, "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
	w.out = strconv.AppendInt(w.out, int64(len("value=")+len(value)), 10)
	w.out = append(w.out, "\r\n\r\nvalue="...)
	w.out = append(w.out, value...)
	status, body, err := w.ask()
	if err == nil && status != 200 && status != 201 {
		err = fmt.Errorf("PUT %s: status %d: %s", key, status, body)
	}
	return err
}

// get returns the whole body of a small answer.
func (w *wire) get(key string) (status int, body string, err error) {
	w.out = append(w.out[:0], "GET /v2/keys"+key+" HTTP/1.1\r\nHost: "+w.host+"\r\n\r\n"...)
	return w.ask()
}

// ask sends the prepared request. Answers of less than 2 KiB have a Content-Length
// on every server; there are no others here.
func (w *wire) ask() (status int, body string, err error) {
	if err := w.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, "", err
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return 0, "", err
	}
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return 0, "", err
	}
	if len(line) < 12 {
		return 0, "", fmt.Errorf("status line %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, "", err
	}
	length := -1
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, "", err
		}
		if len(line) <= 2 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[len(name):]))); err != nil {
				return 0, "", err
			}
		}
	}
	if length < 0 {
		return 0, "", fmt.Errorf("an answer without Content-Length")
	}
	text := make([]byte, length)
	_, err = io.ReadFull(w.in, text)
	return status, string(text), err
}

// spread calls do for 0..n-1; each connection takes the next number when it is
// done with one. It ends at the first error.
func spread(address string, connections, n int, do func(w *wire, i int) error) error {
	var next atomic.Int64
	var failure atomic.Pointer[error]
	var working sync.WaitGroup
	for range connections {
		working.Go(func() {
			w, err := dial(address)
			if err == nil {
				defer w.close()
			}
			for err == nil && failure.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				err = do(w, i)
			}
			if err != nil {
				failure.CompareAndSwap(nil, &err)
			}
		})
	}
	working.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}
