package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// AskPassword asks once for a password, at the terminal that in is, until ctx is done.
func AskPassword(ctx context.Context, in *os.File, prompt string) (string, error) {
	// Opened anew: no deadline ends a read of standard input.
	terminal, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", in.Fd()), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil { // after su it is another user's
		terminal, err = os.OpenFile("/dev/tty", os.O_RDWR, 0)
	}
	if err != nil {
		return "", err
	}
	defer terminal.Close()
	lines, err := askHidden(ctx, terminal, prompt)
	if err != nil {
		return "", err
	}
	return lines[0], nil
}

// fromTerminal asks for a new password at the terminal of this process, whatever its
// standard input and output are.
func fromTerminal(ctx context.Context) (string, error) {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errNoPassword
	}
	defer terminal.Close()
	return askTwice(ctx, terminal)
}

func askTwice(ctx context.Context, terminal *os.File) (string, error) {
	typed, err := askHidden(ctx, terminal, "New password of root: ", "The same again: ")
	switch {
	case errors.Is(err, io.EOF):
		return "", errNoPassword
	case err != nil:
		return "", err
	case typed[0] != typed[1]:
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
}

// askHidden reads a line for each prompt, until ctx is done. Its error is io.EOF if there is none. The terminal doesn't show what is
// typed, and is left as it was.
func askHidden(ctx context.Context, terminal *os.File, prompts ...string) (lines []string, err error) {
	restore, err := hide(terminal)
	if err != nil {
		return nil, err
	}
	defer restore()
	defer context.AfterFunc(ctx, func() { _ = terminal.SetReadDeadline(time.Unix(0, 0)) })()
	keys := bufio.NewReader(terminal)
	for _, prompt := range prompts {
		if _, err := io.WriteString(terminal, prompt); err != nil {
			return nil, err
		}
		line, err := keys.ReadString('\n')
		_, _ = io.WriteString(terminal, "\n") // the one typed isn't shown either
		switch {
		case ctx.Err() != nil:
			return nil, errors.New("interrupted")
		case err != nil:
			return nil, err
		}
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	return lines, nil
}

// hide has the terminal no longer show what is typed, until restore is called.
func hide(terminal *os.File) (restore func(), err error) {
	raw, err := terminal.SyscallConn() // Fd would make reads block that no deadline ends
	if err != nil {
		return nil, err
	}
	control := func(f func(fd int) error) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) { err = f(int(fd)) }), err)
	}
	var before unix.Termios
	err = control(func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		before = *t
		t.Lflag = t.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
		t.Iflag |= unix.ICRNL
		return unix.IoctlSetTermios(fd, unix.TCSETS, t)
	})
	return func() { // and forget half a password, which the shell would read and show
		_ = control(func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETSF, &before) })
	}, err
}
