package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

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

// askTwice asks until ctx is done. The terminal doesn't show what is typed, and is left as
// it was.
func askTwice(ctx context.Context, terminal *os.File) (string, error) {
	restore, err := hide(terminal)
	if err != nil {
		return "", err
	}
	defer restore()
	defer context.AfterFunc(ctx, func() { _ = terminal.SetReadDeadline(time.Unix(0, 0)) })()
	var typed [2]string
	keys := bufio.NewReader(terminal)
	for i, prompt := range []string{"New password of root: ", "The same again: "} {
		if _, err := io.WriteString(terminal, prompt); err != nil {
			return "", err
		}
		line, err := keys.ReadString('\n')
		_, _ = io.WriteString(terminal, "\n") // the one typed isn't shown either
		switch {
		case ctx.Err() != nil:
			return "", errors.New("interrupted")
		case err == io.EOF:
			return "", errNoPassword
		case err != nil:
			return "", err
		}
		typed[i] = strings.TrimRight(line, "\r\n")
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
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
