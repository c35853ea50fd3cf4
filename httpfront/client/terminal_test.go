package client

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newTerminal returns both ends of a terminal: the person's and the program's.
func newTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	raw, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	if err := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// shows reads what the terminal shows until text has come, and returns it.
func shows(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var seen strings.Builder
	for !strings.HasSuffix(seen.String(), text) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("after %q: %v", &seen, err)
		}
		seen.WriteByte(b)
	}
	return seen.String()
}

type typed struct {
	password string
	err      error
}

func TestAPasswordIsTypedTwiceAndNotShown(t *testing.T) {
	for _, c := range []struct{ first, second, want, err string }{
		{"secret\n", "secret\n", "secret", ""},
		{"secrex\x7ft\n", "secret\r", "secret", ""}, // corrected
		{"secret\n", "Secret\n", "", "the two passwords differ"},
		{"secret\n", "\x04", "", "there is no password"},
		{"\n", "\n", "", ""}, // read refuses it
	} {
		person, program := newTerminal(t)
		answer := make(chan typed, 1)
		go func() {
			password, err := askTwice(context.Background(), program)
			_, _ = io.WriteString(program, "(done)")
			answer <- typed{password, err}
		}()
		screen := bufio.NewReader(person)
		seen := shows(t, screen, "New password of root: ")
		_, _ = io.WriteString(person, c.first)
		seen += shows(t, screen, "The same again: ")
		_, _ = io.WriteString(person, c.second)
		seen += shows(t, screen, "(done)")
		if got := <-answer; got.password != c.want || (got.err == nil) != (c.err == "") || got.err != nil && !strings.Contains(got.err.Error(), c.err) {
			t.Errorf("%q %q: %+v", c.first, c.second, got)
		}
		if seen != "New password of root: \r\nThe same again: \r\n(done)" {
			t.Errorf("%q is shown", seen)
		}
		_, _ = io.WriteString(person, "x")
		shows(t, screen, "x") // as before
	}
}

func TestAnInterruptEndsTheQuestion(t *testing.T) {
	person, program := newTerminal(t)
	ctx, interrupt := context.WithCancel(context.Background())
	answer := make(chan typed, 1)
	go func() {
		password, err := askTwice(ctx, program)
		answer <- typed{password, err}
	}()
	screen := bufio.NewReader(person)
	shows(t, screen, "New password of root: ")
	_, _ = io.WriteString(person, "half")
	interrupt()
	if got := <-answer; got.password != "" || got.err == nil || got.err.Error() != "interrupted" {
		t.Errorf("%+v", got)
	}
	_, _ = io.WriteString(person, "x")
	shows(t, screen, "x")
}
