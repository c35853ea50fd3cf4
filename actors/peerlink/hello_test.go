package peerlink

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestHandshakesComeOutAsTheyWentIn(t *testing.T) {
	for _, h := range []hello{
		{kind: kindCalls},
		{kind: kindRaft, cluster: 1, generation: 2, from: 3, to: 4},
		{kind: kindSnapshot, cluster: 1<<64 - 1, generation: 1 << 63, from: 1<<64 - 1, to: 1<<64 - 2},
	} {
		wire := h.append(nil)
		if got, err := readHello(bytes.NewReader(wire)); err != nil || got != h || len(wire) != helloSize {
			t.Errorf("%+v: %+v, %v", h, got, err)
		}
	}
	if err := decodeAnswer(appendAnswer(nil, 0, 7)); err != nil {
		t.Errorf("a welcome: %v", err)
	}
	for r := UnsupportedVersion; r <= Busy; r++ {
		if err := decodeAnswer(appendAnswer(nil, r, 7)); !errors.Is(err, r) || strings.Contains(r.Error(), "reason") {
			t.Errorf("refusal %d: %v", r, err)
		}
	}
}

func TestDamagedHandshakesAreNoticed(t *testing.T) {
	good := hello{kind: kindRaft, cluster: 1, from: 3, to: 4}.append(nil)
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		_, err := readHello(bytes.NewReader(bad))
		if want := at == 8 || at == 9; err == nil || errors.Is(err, UnsupportedVersion) != want {
			t.Errorf("byte %d: %v", at, err)
		}
		if _, err := readHello(bytes.NewReader(good[:at])); err == nil {
			t.Errorf("cut off after %d bytes, it is read all the same", at)
		}
	}
	welcome := appendAnswer(nil, 0, 7)
	for at := range welcome {
		bad := bytes.Clone(welcome)
		bad[at] ^= 0x20
		if decodeAnswer(bad) == nil || decodeAnswer(welcome[:at]) == nil {
			t.Errorf("byte %d of an answer", at)
		}
	}
}

// A later version's hello may be longer, but begins the same.
func TestAnotherVersionIsRefusedByItsFirstBytes(t *testing.T) {
	later := []byte(magic + "\x02\x00")
	if _, err := readHello(bytes.NewReader(later)); !errors.Is(err, UnsupportedVersion) {
		t.Fatal(err)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(hello{kind: kindRaft, cluster: 1, from: 3, to: 4}.append(nil), appendAnswer(nil, WrongMember, 3))
	f.Fuzz(func(t *testing.T, b, answer []byte) {
		if h, err := readHello(bytes.NewReader(b)); err == nil && !bytes.HasPrefix(b, h.append(nil)) && b[11] == 0 {
			t.Fatalf("%x was read as %+v", b, h)
		}
		_ = decodeAnswer(answer)
	})
}
