package auth

import (
	"slices"
	"strings"
)

// Who is the client that a request comes from. The zero value is nobody: a client whose
// credentials are wrong, and who may do nothing while auth is on.
type Who struct {
	kind whoKind
	name string
	// In the state under, the user of that name is this one: it needn't be looked up there.
	user  *User
	under *State
}

type whoKind uint8

const (
	nobody whoKind = iota
	guest
	user
)

// TheGuest is a client without credentials.
var TheGuest = Who{kind: guest}

// TheUser is the user of that name, who has proved it. If there is no such user, or none
// any more, it may do nothing.
func TheUser(name string) Who { return Who{kind: user, name: name} }

// Proven is the same for a user of this state.
func (s *State) Proven(u *User) Who { return Who{kind: user, name: u.Name, user: u, under: s} }

// Lasting is the same without the state in which it was proven, which would stay in memory.
func (w Who) Lasting() Who { return Who{kind: w.kind, name: w.name} }

// Name is the name of a user, "" of all others.
func (w Who) Name() string { return w.name }

// Access is what is done to a key.
type Access uint8

// The kinds of access. What writes a key may still see its old value: v2's answers have
// it.
const (
	Read Access = iota
	Write
)

// May reports whether who may do that to the key at path and, if recursive, to all
// below it. path is the decoded one behind /v2/keys, as it was sent: "" and "/" differ,
// and so do "/a" and "/a/". It doesn't allocate.
//
// Unlike in etcd the guest is held to the rule for what is recursive, as all others are.
func (s *State) May(who Who, what Access, path string, recursive bool) bool {
	if !s.Enabled {
		return true
	}
	switch who.kind {
	case guest:
		return s.gives(Guest, what, path, recursive)
	case user:
		for _, name := range s.rolesOf(who) {
			if name == Root || s.gives(name, what, path, recursive) {
				return true
			}
		}
	}
	return false
}

// MayAdminister reports whether who may see and change users and roles, switch auth on
// and off, and change the members: whoever has the role root may, and everybody while
// auth is off.
func (s *State) MayAdminister(who Who) bool {
	return !s.Enabled || who.kind == user && slices.Contains(s.rolesOf(who), Root)
}

// MayReadSome reports whether there may be a directory that who may read with all below.
func (s *State) MayReadSome(who Who) bool {
	open := func(role string) bool {
		r, ok := s.Role(role)
		return role == Root || ok && slices.ContainsFunc(r.Permissions.Read, func(pattern string) bool { return strings.HasSuffix(pattern, "*") })
	}
	return !s.Enabled || who.kind == guest && open(Guest) || who.kind == user && slices.ContainsFunc(s.rolesOf(who), open)
}

// rolesOf returns the names of a user's roles.
func (s *State) rolesOf(who Who) []string {
	if who.under == s {
		return who.user.Roles
	}
	if u, ok := s.User(who.name); ok {
		return u.Roles
	}
	return nil
}

// gives reports whether the role of that name, if there is one, has that right.
func (s *State) gives(role string, what Access, path string, recursive bool) bool {
	r, ok := s.Role(role)
	if !ok {
		return false
	}
	patterns := r.Permissions.Read
	if what == Write {
		patterns = r.Permissions.Write
	}
	for _, pattern := range patterns {
		if covers(pattern, path, recursive) {
			return true
		}
	}
	return false
}

// covers reports whether pattern covers path and, if recursive, all that begins with it.
// The empty pattern, on which etcd panics, covers nothing.
func covers(pattern, path string, recursive bool) bool {
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(path, prefix)
	}
	return pattern != "" && !recursive && path == pattern
}
