package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"copse/httpfront/client"

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

// ask reads a password: from a terminal, which doesn't show it, or a line of another input.
func (t *tool) ask(ctx context.Context, prompt string) (line string, err error) {
	if isTerminal(t.In) {
		line, err = client.AskPassword(ctx, t.In.(*os.File), prompt)
	} else {
		fmt.Fprint(t.Out, prompt)
		line, err = readLine(t.In)
		fmt.Fprintln(t.Out)
	}
	if errors.Is(err, io.EOF) {
		return "", usage("there is no password: give user:password, or --password-file")
	}
	if err != nil {
		return "", usage("%v", err)
	}
	return line, nil
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
			return "", err
		}
	}
}
