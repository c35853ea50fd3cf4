package portable

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// The lines between the header and the end. For each kind there is a function that writes
// it and one that reads it, with the fields in the same order.

func appendItem(dst []byte, it *Item) []byte {
	switch {
	case it.Node != nil:
		return appendNode(dst, it.Node)
	case it.Role != nil:
		return appendRole(dst, it.Role)
	case it.User != nil:
		return appendUser(dst, it.User)
	default:
		return appendEvent(dst, it.Event)
	}
}

// item reads a line into to, whose nodes refer to the scanner's memory.
func (s *scanner) item(to *Item) {
	*to = Item{}
	switch {
	case s.has(`{"key`):
		to.Node = &tree.Node{}
		s.node(to.Node)
	case s.has(`{"role`):
		to.Role = &auth.Role{Name: s.named(), Permissions: s.permissions()}
		to.Role.Grant, to.Role.Revoke = s.optional("grant"), s.optional("revoke")
	case s.has(`{"user`):
		to.User = &auth.User{Name: s.named()}
		if s.has(`,"hash`) {
			to.User.Hash = s.named()
		}
		to.User.Roles = s.texts("roles")
	case s.has(`{"action":`):
		to.Event = &tree.Event{}
		s.event(to.Event)
	default:
		s.failed = true
	}
	s.end()
}

func appendNode(dst []byte, n *tree.Node) []byte {
	dst = appendNamed(append(dst, '{'), "key", n.Key)
	if n.Dir {
		dst = append(dst, `,"dir":true`...)
	} else {
		dst = appendNamed(append(dst, ','), "value", n.Value)
	}
	if n.Expires != 0 {
		dst = append(dst, `,"expiration":`...)
		dst = appendTime(dst, time.Unix(0, n.Expires))
	}
	dst = strconv.AppendUint(append(dst, `,"modifiedIndex":`...), uint64(n.Modified), 10)
	dst = strconv.AppendUint(append(dst, `,"createdIndex":`...), uint64(n.Created), 10)
	return append(dst, '}')
}

// node reads a node behind `{"key`, except for the brace at its end.
func (s *scanner) node(n *tree.Node) {
	n.Key = s.named()
	if n.Dir = s.has(`,"dir":true`); !n.Dir {
		s.need(`,"value`)
		n.Value = s.namedBytes()
	}
	if s.has(`,"expiration":`) {
		n.Expires = s.time().UnixNano()
	}
	s.need(`,"modifiedIndex":`)
	n.Modified = tree.Index(s.number())
	s.need(`,"createdIndex":`)
	n.Created = tree.Index(s.number())
}

func appendRole(dst []byte, r *auth.Role) []byte {
	dst = appendNamed(append(dst, '{'), "role", r.Name)
	dst = appendPermissions(dst, &r.Permissions)
	dst = appendOptional(dst, "grant", r.Grant)
	dst = appendOptional(dst, "revoke", r.Revoke)
	return append(dst, '}')
}

func appendPermissions(dst []byte, p *auth.Permissions) []byte {
	return appendTexts(appendTexts(dst, "read", p.Read), "write", p.Write)
}

func (s *scanner) permissions() auth.Permissions {
	return auth.Permissions{Read: s.texts("read"), Write: s.texts("write")}
}

// appendOptional marks permissions that are there, even if empty, by their name alone.
func appendOptional(dst []byte, name string, p *auth.Permissions) []byte {
	if p == nil {
		return dst
	}
	return appendPermissions(fmt.Appendf(dst, `,"%s":true`, name), p)
}

func (s *scanner) optional(name string) *auth.Permissions {
	if !s.has(`,"` + name + `":true`) {
		return nil
	}
	p := s.permissions()
	return &p
}

func appendUser(dst []byte, u *auth.User) []byte {
	dst = appendNamed(append(dst, '{'), "user", u.Name)
	if u.Hash != "" {
		dst = appendNamed(append(dst, ','), "hash", u.Hash)
	}
	return append(appendTexts(dst, "roles", u.Roles), '}')
}

func appendEvent(dst []byte, e *tree.Event) []byte {
	dst = fmt.Appendf(dst, `{"action":"%s","node":`, e.Action)
	dst = appendNode(dst, &e.Node)
	if e.HasPrev {
		dst = appendNode(append(dst, `,"prevNode":`...), &e.Prev)
	}
	if e.Refresh {
		dst = append(dst, `,"refresh":true`...)
	}
	dst = strconv.AppendInt(append(dst, `,"now":`...), e.Now, 10)
	return append(dst, '}')
}

// event reads an event behind `{"action":`, except for the brace at its end.
func (s *scanner) event(e *tree.Event) {
	name := string(s.text())
	for a := tree.ActionSet; a <= tree.ActionExpire; a++ {
		if a.String() == name {
			e.Action = a
		}
	}
	s.need(`,"node":{"key`)
	s.node(&e.Node)
	s.need("}")
	if e.HasPrev = s.has(`,"prevNode":{"key`); e.HasPrev {
		s.node(&e.Prev)
		s.need("}")
	}
	e.Refresh = s.has(`,"refresh":true`)
	s.need(`,"now":`)
	e.Now = s.signed()
	s.failed = s.failed || e.Action == 0
}

// appendNamed appends a text with its name, as text or in base64.
func appendNamed[S string | []byte](dst []byte, name string, text S) []byte {
	dst = append(append(dst, '"'), name...)
	if readable(text) {
		return tree.AppendString(append(dst, `":`...), text)
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, `64":"`...), []byte(text)), '"')
}

// longText is the size from which on a text must not grow much by its escapes, which may take six
// bytes for one.
const longText = 64 << 10

// readable reports whether a text is written as it is: it is valid UTF-8, and not long and
// full of escapes.
func readable[S string | []byte](text S) bool {
	escapes := 0
	for i := 0; len(text) >= longText && i < len(text); i++ {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0xe2 { // with which U+2028 begins
			escapes++
		}
	}
	if escapes > len(text)/16 {
		return false
	}
	switch text := any(text).(type) {
	case string:
		return utf8.ValidString(text)
	case []byte:
		return utf8.Valid(text)
	}
	return false
}

// appendTexts appends a list with its name, or nothing if it is nil. One text that isn't
// valid puts all into base64.
func appendTexts(dst []byte, name string, list []string) []byte {
	if list == nil {
		return dst
	}
	encode := func(dst []byte, text string) []byte { return tree.AppendString(dst, text) }
	for _, text := range list {
		if !utf8.ValidString(text) {
			name += "64"
			encode = func(dst []byte, text string) []byte {
				return append(base64.StdEncoding.AppendEncode(append(dst, '"'), []byte(text)), '"')
			}
			break
		}
	}
	dst = fmt.Appendf(dst, `,"%s":[`, name)
	for i, text := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = encode(dst, text)
	}
	return append(dst, ']')
}

func appendTime(dst []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
}
