package manual

import (
	"flag"
	"os"
	"strings"
	"testing"

	"copse/bench/peer"

	"go.uber.org/goleak"
)

var candidate = flag.String("candidate", string(peer.Copse), "the server to run: copse, or copse=PATH")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page reads a page of the manual.
func page(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

// start runs a server of one member, with its operations port.
func start(t *testing.T) (s *peer.Server, operations string) {
	t.Helper()
	operations, err := peer.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return peer.Start(t, peer.Kind(*candidate), "--listen-metrics-urls=http://"+operations), operations
}
