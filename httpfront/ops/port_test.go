package ops_test

import (
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"

	"copse/httpfront/ops"
)

func TestAPortThatIsTakenIsToldOfOnce(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var told strings.Builder
	p := ops.NewPort(ops.NewStatus(), ops.PortOptions{URLs: []url.URL{{Scheme: "http", Host: other.Addr().String()}}, Log: slog.New(slog.NewTextHandler(&told, nil))})
	for range 2 { // before the member is let in, and when it starts
		if err := p.Open(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(told.String(), "no operations port"); n != 1 {
		t.Errorf("told of %d times:\n%s", n, &told)
	}
}
