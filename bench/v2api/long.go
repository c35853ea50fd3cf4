package v2api

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// A long value is short wherever it is kept and compared, so that a history fits into memory: only on its way to the
// server and back it has all its bytes, which the short form tells.

// Long returns the short form of a value that begins with text, which is unique, and has so many bytes besides.
func Long(text string, size int) string { return text + "~long " + strconv.Itoa(size) + "~" }

// IsLong reports whether value is the short form of a long one.
func IsLong(value string) bool { return longMark.MatchString(value) }

var longMark = regexp.MustCompile(`~long (\d+)~$`)

// whole is value as the server gets it.
func whole(value string) string {
	mark := longMark.FindStringSubmatch(value)
	if mark == nil {
		return value
	}
	size, _ := strconv.Atoi(mark[1])
	pattern := escaped.ReplaceAllString(value, "")
	return value + strings.Repeat(pattern, size/len(pattern)+1)[:size]
}

// escaped matches what a form or JSON escapes, which would make a long value longer still.
var escaped = regexp.MustCompile(`[^0-9A-Za-z~]`)

// longest bounds the values that aren't long.
const longest = 64 << 10

var anyMark = regexp.MustCompile(`^(?s:.*?)~long \d+~`)

// kept is the short form of what the server shows, if that is long; it says so if it isn't as it was sent.
func kept(shown string) string {
	short := anyMark.FindString(shown[:min(len(shown), longest)])
	switch {
	case len(shown) <= longest, short == "":
		return shown
	case whole(short) != shown:
		return short + " and " + strconv.Itoa(len(shown)) + " bytes that weren't sent"
	}
	return short
}

// UnmarshalJSON reads a node, with the short form of its value.
func (n *Node) UnmarshalJSON(text []byte) error {
	type plain Node
	err := json.Unmarshal(text, (*plain)(n))
	n.Value = kept(n.Value)
	return err
}
