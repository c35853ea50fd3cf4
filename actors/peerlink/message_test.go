package peerlink

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMessagesComeOutAsTheyWentIn(t *testing.T) {
	for _, r := range []request{
		{},
		{id: 1<<64 - 1, timeout: time.Second, kind: 255, payload: []byte("what is asked")},
	} {
		got, err := decodeCall(appendCall(nil, r))
		if err != nil || got.id != r.id || got.timeout != r.timeout || got.kind != r.kind || !bytes.Equal(got.payload, r.payload) {
			t.Errorf("%+v: %+v, %v", r, got, err)
		}
	}
	// A short timeout differs from none, and so does a very long one.
	for timeout, want := range map[time.Duration]time.Duration{
		1:                     time.Millisecond,
		time.Millisecond + 1:  2 * time.Millisecond,
		1000 * 24 * time.Hour: (1<<32 - 1) * time.Millisecond,
	} {
		if got, err := decodeCall(appendCall(nil, request{timeout: timeout})); err != nil || got.timeout != want {
			t.Errorf("a time-out of %v: %v, %v", timeout, got.timeout, err)
		}
	}
	id, r, err := decodeReply(appendReply(nil, 7, []byte("so it is"), nil))
	if err != nil || id != 7 || r.err != nil || string(r.payload) != "so it is" {
		t.Errorf("%d, %+v, %v", id, r, err)
	}
	long := &CallError{Code: 9, Text: strings.Repeat("no ", 10_000)}
	id, r, err = decodeReply(appendReply(nil, 7, []byte("dropped"), long))
	got := (*CallError)(nil)
	if err != nil || id != 7 || !errors.As(r.err, &got) || got.Code != 9 || got.Text != long.Text[:errorTextLimit] {
		t.Errorf("%d, %+v, %v", id, r, err)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(appendCall(nil, request{id: 1, timeout: time.Second, kind: 2, payload: []byte("x")}))
	f.Add(appendReply(nil, 1, nil, &CallError{Code: 3, Text: "no"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeCall(b); err == nil && !bytes.Equal(appendCall(nil, r), b) {
			t.Fatalf("%x was read as %+v", b, r)
		}
		if id, r, err := decodeReply(b); err == nil && r.err == nil && b[9] == 0 && !bytes.Equal(appendReply(nil, id, r.payload, nil), b) {
			t.Fatalf("%x was read as %+v", b, r)
		}
	})
}
