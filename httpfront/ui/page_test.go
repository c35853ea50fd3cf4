package ui

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A browser that stops reading doesn't keep its place.
func TestAnAnswerThatNobodyReadsEnds(t *testing.T) {
	p := New(Options{Log: slog.New(slog.DiscardHandler), Operations: true})
	p.patience = 10 * time.Millisecond
	ended := make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 1<<20))
		}
	})}
	served := make(chan struct{})
	go func() { _ = server.Serve(p.Door()); close(served) }()
	defer func() { _ = server.Close(); <-served }()
	port := httptest.NewServer(p)
	defer port.Close()
	browser, err := net.Dial("tcp", port.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	if _, err := fmt.Fprintf(browser, "GET /v2/keys/ HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-ended
}
