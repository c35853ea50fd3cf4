package peerlink

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

func anyFrame(most int) limits { return func(frameType) int { return most } }

func frameOf(t frameType, payload string) []byte {
	return sealFrame(append(beginFrame(nil), payload...), t)
}

func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 200_000)
	var wire []byte
	payloads := []string{"", "a", "some more", large, "after it"}
	for i, p := range payloads {
		wire = append(wire, frameOf(frameType(i+1), p)...)
	}
	r := bufio.NewReader(bytes.NewReader(wire))
	var buf []byte
	for i, p := range payloads {
		kind, got, err := readFrame(r, buf, anyFrame(len(large)))
		if err != nil || int(kind) != i+1 || string(got) != p {
			t.Fatalf("frame %d: type %d, %d bytes, %v; want %d bytes", i, kind, len(got), err, len(p))
		}
		buf = got
	}
	if _, _, err := readFrame(r, buf, anyFrame(1)); err != io.EOF {
		t.Fatalf("after the last frame: %v", err)
	}
}

func TestADamagedFrameIsNoticed(t *testing.T) {
	good := frameOf(frameCall, "what is asked")
	for at := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << bit
			_, got, err := readFrame(bufio.NewReader(bytes.NewReader(bad)), nil, anyFrame(1<<20))
			if err == nil {
				t.Fatalf("byte %d, bit %d: read as %q", at, bit, got)
			}
		}
	}
	for n := range good {
		if _, _, err := readFrame(bufio.NewReader(bytes.NewReader(good[:n])), nil, anyFrame(1<<20)); err == nil {
			t.Fatalf("cut off after %d bytes, it is read all the same", n)
		}
	}
}

func TestAFrameHasItsLimit(t *testing.T) {
	onlyCalls := func(f frameType) int {
		if f == frameCall {
			return 4
		}
		return 0
	}
	for _, c := range []struct {
		name  string
		frame []byte
		ok    bool
	}{
		{"at the limit", frameOf(frameCall, "1234"), true},
		{"above it", frameOf(frameCall, "12345"), false},
		{"of a type that has no place here", frameOf(frameBatch, "1"), false},
	} {
		_, _, err := readFrame(bufio.NewReader(bytes.NewReader(c.frame)), nil, onlyCalls)
		if c.ok != (err == nil) || err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestALengthIsNotBelieved(t *testing.T) {
	head := make([]byte, frameHead)
	binary.LittleEndian.PutUint32(head, batchLimit)
	head[8] = byte(frameBatch)
	wire := append(head, make([]byte, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		if _, _, err := readFrame(bufio.NewReader(bytes.NewReader(wire)), nil, anyFrame(batchLimit)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 20*(4*readStep) {
		t.Fatalf("20 frames of 1,000 bytes that claim 65 MiB took %d bytes", took)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(frameOf(frameCall, "what is asked"))
	f.Add(append(frameOf(frameBatch, ""), frameOf(frameAnswer, strings.Repeat("x", 300))...))
	f.Add([]byte("\xff\xff\xff\xff\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := bytes.NewReader(wire)
		r := bufio.NewReader(in)
		var again []byte
		for {
			kind, payload, err := readFrame(r, nil, anyFrame(1<<20))
			if err != nil {
				break
			}
			again = append(again, frameOf(kind, string(payload))...)
		}
		if !bytes.HasPrefix(wire, again) {
			t.Fatalf("%x was read as %x", wire, again)
		}
	})
}
