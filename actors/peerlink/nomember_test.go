package peerlink_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"copse/actors/peerlink"
)

// Who dials a client port is told so, whether that answers or waits for the rest of a head.
func TestAClientURLIsTakenForOne(t *testing.T) {
	for name, answer := range map[string]string{
		"it waits":   "",
		"it answers": "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte(answer))
			_, _ = c.Read(make([]byte, 1))
			_, _ = c.Read(make([]byte, 1<<10)) // the rest, so that closing discards nothing
			if answer == "" {
				_, _ = c.Read(make([]byte, 1)) // until the dialer gives up
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // which only a port that waits takes
		_, err = peerlink.CallAddress(ctx, "http://"+l.Addr().String(), nil, 1, nil)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "no copse member answers there: does it hang, or is it a client URL?") {
			t.Errorf("%s: %v", name, err)
		}
		l.Close()
		<-served
	}
}
