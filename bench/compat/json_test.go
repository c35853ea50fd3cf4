package compat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A value is JSON that keeps what encoding/json forgets: the order of the
// fields and the spelling of strings and numbers.
type value struct {
	raw    string  // a string, number, true, false or null, as spelled
	object []field // if brace is '{'
	array  []value // if brace is '['
	brace  byte
}

type field struct {
	name string // without quotes, as spelled
	value
}

// parseJSON parses compact JSON, the only kind that the servers send for keys;
// rest is the text after the value.
func parseJSON(s string) (v value, rest string, err error) {
	if s == "" {
		return v, "", fmt.Errorf("JSON ends early")
	}
	switch s[0] {
	case '{', '[':
		return parseNested(s)
	case '"':
		return parseString(s)
	}
	n := strings.IndexAny(s, ",]}\n")
	if n < 0 {
		n = len(s)
	}
	if n == 0 {
		return v, s, fmt.Errorf("no JSON value at %.20q", s)
	}
	return value{raw: s[:n]}, s[n:], nil
}

func parseString(s string) (v value, rest string, err error) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return value{raw: s[:i+1]}, s[i+1:], nil
		}
	}
	return v, s, fmt.Errorf("string without end at %.20q", s)
}

func parseNested(s string) (v value, rest string, err error) {
	v.brace = s[0]
	end := v.brace + 2 // ASCII has } two after {, and ] two after [
	s = s[1:]
	for first := true; ; first = false {
		if s != "" && s[0] == end {
			return v, s[1:], nil
		}
		if !first {
			if s == "" || s[0] != ',' {
				return v, s, fmt.Errorf("no comma at %.20q", s)
			}
			s = s[1:]
		}
		var f field
		if v.brace == '{' {
			name, after, err := parseString(s)
			if err != nil || !strings.HasPrefix(after, ":") {
				return v, s, fmt.Errorf("no field at %.20q", s)
			}
			f.name, s = strings.Trim(name.raw, `"`), after[1:]
		}
		if f.value, s, err = parseJSON(s); err != nil {
			return v, s, err
		}
		if v.brace == '{' {
			v.object = append(v.object, f)
		} else {
			v.array = append(v.array, f.value)
		}
	}
}

func (v value) String() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v value) write(b *strings.Builder) {
	if v.brace == 0 {
		b.WriteString(v.raw)
		return
	}
	b.WriteByte(v.brace)
	for i, f := range v.object {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + f.name + `":`)
		f.write(b)
	}
	for i, e := range v.array {
		if i > 0 {
			b.WriteByte(',')
		}
		e.write(b)
	}
	b.WriteByte(v.brace + 2)
}

// field returns the raw value of a field of an object, "" if there is none.
func (v value) field(name string) value {
	for _, f := range v.object {
		if f.name == name {
			return f.value
		}
	}
	return value{}
}

// text is the string that v represents.
func (v value) text() string {
	var s string
	if err := json.Unmarshal([]byte(v.raw), &s); err != nil {
		return ""
	}
	return s
}

// sortNodes puts every listing into one order. etcd's own order is that of
// a Go map, and changes from one answer to the next.
func (v value) sortNodes() {
	for _, f := range v.object {
		f.sortNodes()
		if f.name == "nodes" {
			slices.SortFunc(f.array, func(a, b value) int {
				return strings.Compare(a.field("key").raw, b.field("key").raw)
			})
		}
	}
	for _, e := range v.array {
		e.sortNodes()
	}
}

// sortedListing returns a body with its listings put into order, and any other
// body as it is.
func sortedListing(body string) string {
	v, rest, err := parseJSON(body)
	if err != nil || v.brace != '{' {
		return body
	}
	v.sortNodes()
	return v.String() + rest
}
