package cluster

import (
	"context"
	"errors"
	"testing"
)

// A reason that all members have is read once.
func TestEqualReasonsAreJoined(t *testing.T) {
	p := Peers{URLs: []string{"https://a:1", "https://b:1", "https://c:1"}, Ask: func(_ context.Context, url string, _ uint8, _ []byte) ([]byte, error) {
		if url == "https://b:1" {
			return nil, errors.New("https://b:1: it is away")
		}
		return nil, errors.New(url + ": it has another cluster secret")
	}}
	_, err := p.notes(t.Context())
	if got, want := err.Error(), "https://a:1, https://c:1: it has another cluster secret\nhttps://b:1: it is away"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
