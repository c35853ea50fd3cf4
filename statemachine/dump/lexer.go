package dump

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrForm matches every *Error.
var ErrForm = errors.New("the file isn't a dump of an etcd's keys")

// Error says where a file isn't in its form.
type Error struct {
	Line   int   // from 1; 0: only the offset is known
	Offset int64 // in bytes, from 0
	What   string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("byte %d: %s", e.Offset, e.What)
	}
	return fmt.Sprintf("line %d, byte %d: %s", e.Line, e.Offset, e.What)
}

// Is makes an Error ErrForm.
func (e *Error) Is(target error) bool { return target == ErrForm }

// textLimit bounds a text, escapes included.
const textLimit = 1 << 30

// lexer takes JSON apart from the left. After the first failure it reads nothing any more.
type lexer struct {
	in      *bufio.Reader
	next    int64 // offset of the next byte
	at      int64 // where the latest token begins
	line    int
	raw     []byte // of the latest text
	failure error
}

func (l *lexer) fail(format string, args ...any) {
	if l.failure == nil {
		l.failure = &Error{Line: l.line, Offset: l.at, What: fmt.Sprintf(format, args...)}
	}
}

// failed notes an error of the file itself; its end comes too early.
func (l *lexer) failed(err error) {
	if l.at = l.next; errors.Is(err, io.EOF) {
		l.fail("the file ends too early")
	} else if l.failure == nil {
		l.failure = err
	}
}

// peek returns the first byte of the next token; ok is false at the end of the file, and
// after a failure.
func (l *lexer) peek() (c byte, ok bool) {
	for l.failure == nil {
		c, err := l.in.ReadByte()
		if err == io.EOF {
			l.at = l.next
			return 0, false
		}
		if err != nil {
			l.failed(err)
			return 0, false
		}
		switch c {
		case '\n':
			l.line++
			fallthrough
		case ' ', '\t', '\r':
			l.next++
		default:
			_ = l.in.UnreadByte() // it was just read
			l.at = l.next
			return c, true
		}
	}
	return 0, false
}

// take takes the byte c, if it is next.
func (l *lexer) take(c byte) bool {
	if got, ok := l.peek(); !ok || got != c {
		return false
	}
	_, _ = l.in.ReadByte() // peek has seen it
	l.next++
	return true
}

// expect takes the byte c, which has to be next.
func (l *lexer) expect(c byte) {
	if l.take(c) || l.failure != nil {
		return
	}
	if got, ok := l.peek(); ok {
		l.fail("%q where %q should be", got, c)
	} else {
		l.failed(io.EOF)
	}
}

// object reads an object, and calls read for the value of each field.
func (l *lexer) object(read func(name string)) {
	l.expect('{')
	if l.take('}') {
		return
	}
	for l.failure == nil {
		name := l.text()
		l.expect(':')
		read(name)
		if !l.take(',') {
			break
		}
	}
	l.expect('}')
}

// array reads an array, and calls read for each value.
func (l *lexer) array(read func()) {
	l.expect('[')
	if l.take(']') {
		return
	}
	for l.failure == nil {
		read()
		if !l.take(',') {
			break
		}
	}
	l.expect(']')
}

// text reads a string.
func (l *lexer) text() string {
	if l.expect('"'); l.failure != nil {
		return ""
	}
	l.raw = append(l.raw[:0], '"')
	for escaped := true; escaped; {
		part, err := l.in.ReadSlice('"')
		l.raw = append(l.raw, part...)
		l.next += int64(len(part))
		switch {
		case len(l.raw) > textLimit:
			l.fail("a text of more than 1 GiB")
			return ""
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			l.failed(err)
			return ""
		}
		behind := bytes.TrimRight(l.raw[1:len(l.raw)-1], `\`)
		escaped = err != nil || (len(l.raw)-2-len(behind))%2 == 1
	}
	return l.unquote()
}

// unquote decodes raw, the JSON of a text.
func (l *lexer) unquote() (text string) {
	if !utf8.Valid(l.raw) {
		l.fail("a text that isn't UTF-8")
		return ""
	}
	plain := l.raw[1 : len(l.raw)-1]
	if bytes.IndexFunc(plain, func(r rune) bool { return r == '\\' || r < ' ' }) < 0 {
		return string(plain)
	}
	if json.Unmarshal(l.raw, &text) != nil {
		l.fail("a text with a control character or an unknown escape")
	}
	return text
}

// word reads a number, true, false or null.
func (l *lexer) word() string {
	var b strings.Builder
	for c, ok := l.peek(); ok && b.Len() < 40; {
		if !strings.ContainsRune("+-.0123456789abcdefghijklmnopqrstuvwxyzE", rune(c)) {
			break
		}
		b.WriteByte(c)
		_, _ = l.in.ReadByte() // it was seen
		l.next++
		next, err := l.in.Peek(1)
		if err != nil {
			break
		}
		c = next[0]
	}
	return b.String()
}

func (l *lexer) number() int64 {
	n, err := strconv.ParseInt(l.word(), 10, 64)
	if err != nil {
		l.fail("no whole number where one should be")
	}
	return n
}

// boolean reads true or false.
func (l *lexer) boolean() bool {
	switch l.word() {
	case "true":
		return true
	case "false":
	default:
		l.fail("neither true nor false where one should be")
	}
	return false
}

// end makes sure that nothing follows.
func (l *lexer) end() {
	if _, ok := l.peek(); ok {
		l.fail("something follows the end")
	}
}
