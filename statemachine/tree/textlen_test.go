package tree

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzTextLen compares the counted length with the simple form, and with the text itself.
func FuzzTextLen(f *testing.F) {
	for c := range 256 {
		f.Add([]byte("seven b" + string([]byte{byte(c)}) + "and more than eight"))
	}
	for _, s := range []string{"", "\u2028", "12345678\u2029é", "\xe2\x80", "\xf0\x9f\x98\x80 \xff", "1234567é<>&\"\\\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		want := simpleLen(s)
		if got := textLen(s); got != want {
			t.Errorf("textLen(%q) = %d, want %d", s, got, want)
		}
		if got := len(AppendString(nil, s)) - len(`""`); got != want {
			t.Errorf("AppendString(%q) has %d bytes, want %d", s, got, want)
		}
	})
}

// simpleLen counts one rune after the other.
func simpleLen(s []byte) (n int) {
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && size == 1, r == '\u2028', r == '\u2029':
			n += len(replaced)
		case r < utf8.RuneSelf && !plain[r]:
			n += len(appendEscape(nil, byte(r)))
		default:
			n += size
		}
		s = s[size:]
	}
	return n
}

func BenchmarkTextLen(b *testing.B) {
	for name, line := range map[string]string{
		"plain": strings.Repeat("x", 41), "lines": strings.Repeat("x", 40) + "\n", "control": "\x01", "utf8": "é",
	} {
		value := []byte(strings.Repeat(line, 64<<10/len(line)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			for b.Loop() {
				textLen(value)
			}
		})
	}
}
