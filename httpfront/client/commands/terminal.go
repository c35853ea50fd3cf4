package commands

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether somebody looks at what is printed.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// raw is the file that a writer is around, or the writer.
func raw(w io.Writer) io.Writer {
	if around, ok := w.(interface{ Raw() io.Writer }); ok {
		return around.Raw()
	}
	return w
}

// colours reports whether out may be coloured.
func (t *tool) colours() bool {
	plain := slices.ContainsFunc(t.Environ, func(e string) bool {
		return strings.HasPrefix(e, "NO_COLOR=") && e != "NO_COLOR=" || e == "TERM=dumb"
	})
	return isTerminal(raw(t.Out)) && !plain
}

// The colours that are used.
const (
	red   = 31
	green = 32
	bold  = 1
)

// paint colours a text on a terminal.
func (t *tool) paint(colour int, text string) string {
	if !t.colours() {
		return text
	}
	return fmt.Sprintf("\033[%dm%s\033[0m", colour, text)
}

// ask reads a line from standard input, which a terminal doesn't show.
func (t *tool) ask(prompt string) (string, error) {
	fmt.Fprint(t.Out, prompt)
	if f, ok := t.In.(*os.File); ok && isTerminal(f) {
		fd := int(f.Fd())
		before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return "", err
		}
		hidden := *before
		hidden.Lflag &^= unix.ECHO
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
			return "", err
		}
		defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }()
	}
	line, err := readLine(t.In)
	fmt.Fprintln(t.Out)
	return line, err
}

// readLine reads no byte behind the line: what follows may be a value.
func readLine(from io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := from.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return strings.TrimRight(string(line), "\r"), nil
		case n == 1:
			line = append(line, b[0])
		case errors.Is(err, io.EOF) && len(line) > 0:
			return string(line), nil
		case err != nil:
			return "", usage("there is no password: give user:password, or --password-file")
		}
	}
}
