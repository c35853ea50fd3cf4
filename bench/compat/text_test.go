package compat

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bodies are written in transcripts as lines that begin with "| ". A newline of the
// body shows as ⏎ at the end of its line; unprintable bytes show as hex
// between ‹ and ›. Nothing else is escaped, so JSON stays as it was sent.
const (
	bodyMark = "| "
	newline  = "⏎"
)

// longRun matches the values of the step "sized".
var longRun = regexp.MustCompile("x{65,}")

func bodyLines(body string) []string {
	var lines []string
	for body != "" {
		line, rest, cut := strings.Cut(body, "\n")
		text := longRun.ReplaceAllStringFunc(readable(line), func(run string) string {
			return fmt.Sprintf("‹%d times x›", len(run))
		})
		if cut {
			text += newline
		}
		lines = append(lines, bodyMark+text)
		body = rest
	}
	return lines
}

func readable(s string) string {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n <= 1, !unicode.IsPrint(r), strings.ContainsRune("‹›⏎", r):
			fmt.Fprintf(&b, "‹%x›", s[:n])
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// bodyText is the body that such lines represent.
func bodyText(lines []string) (string, error) {
	var b strings.Builder
	for _, line := range lines {
		s := strings.TrimPrefix(line, bodyMark)
		s, ends := strings.CutSuffix(s, newline)
		for {
			plain, rest, found := strings.Cut(s, "‹")
			b.WriteString(plain)
			if !found {
				break
			}
			hex, rest, found := strings.Cut(rest, "›")
			if !found {
				return "", fmt.Errorf("‹ without › in %q", line)
			}
			for i := 0; i+1 < len(hex); i += 2 {
				v, err := strconv.ParseUint(hex[i:i+2], 16, 8)
				if err != nil {
					return "", fmt.Errorf("%q: %w", line, err)
				}
				b.WriteByte(byte(v))
			}
			s = rest
		}
		if ends {
			b.WriteByte('\n')
		}
	}
	return b.String(), nil
}
