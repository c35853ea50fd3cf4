package peerlink_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"copse/actors/peerlink"
)

// Who dials a client port is told so, whether that answers or waits for the rest of a head.
func TestAClientURLIsTakenForOne(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	for _, url := range []string{"http://" + silent.Addr().String(), web.URL} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // only the first takes so long
		_, err := peerlink.CallAddress(ctx, url, nil, 1, nil)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "no copse member answers there: is it a client URL?") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
