package auth

import (
	"slices"
	"strings"
)

// State is all that the cluster knows about users and roles. It is immutable: every
// change makes a new one, which shares what didn't change. In the zero State there are
// no users, and auth is off.
type State struct {
	Enabled bool
	users   table[User]
	roles   table[Role] // without root, which is built in
	size    int         // of all users and roles, against sizeLimit
}

// User is one who may log in. As long as nothing changes a user, it is the same *User
// in every state.
type User struct {
	Name string
	Hash string // of the password, by bcrypt
	// Roles are the names of roles, in the order in which they are shown. nil and empty
	// are shown differently. Those of the user root contain root.
	Roles []string
}

// Role is a set of rights that users share.
type Role struct {
	Name string
	Permissions
	// Grant and Revoke are what the request that created the role had under these names.
	// They have no patterns, but are shown until the role is updated. nil: nothing.
	Grant, Revoke *Permissions
}

// Permissions are the patterns of the keys that may be read, and of those that may be
// written. nil and empty lists are shown differently.
type Permissions struct{ Read, Write []string }

// Empty reports whether there are no patterns.
func (p *Permissions) Empty() bool { return p == nil || len(p.Read)+len(p.Write) == 0 }

// The names that have a meaning.
const (
	Root  = "root"  // the user who always has the role root, and that role, which may do everything
	Guest = "guest" // the role of clients without credentials
)

var rootRole = &Role{Name: Root, Permissions: everything()}

func everything() Permissions { return Permissions{Read: []string{"/*"}, Write: []string{"/*"}} }

// sizeLimit bounds the memory that users and roles take.
const sizeLimit = 64 << 20

// objectOverhead is what a user or a role takes besides its texts, and textOverhead what
// a text in a list takes besides its bytes.
const (
	objectOverhead = 128
	textOverhead   = 16
)

// NewState returns the state of these users and roles, which have different names. None
// of the roles is root.
func NewState(enabled bool, users []*User, roles []*Role) *State {
	s := &State{Enabled: enabled}
	for _, u := range users {
		s.users.add(u.Name, u)
		s.size += u.size()
	}
	for _, r := range roles {
		s.roles.add(r.Name, r)
		s.size += r.size()
	}
	return s
}

// User returns the user of that name, if there is one.
func (s *State) User(name string) (u *User, ok bool) {
	u = s.users.get(name)
	return u, u != nil
}

// Role returns the role of that name, if there is one. There always is root.
func (s *State) Role(name string) (r *Role, ok bool) {
	if name == Root {
		return rootRole, true
	}
	r = s.roles.get(name)
	return r, r != nil
}

// RolesOf returns those of u's roles that exist, in u's order, and the name of the first
// that doesn't.
func (s *State) RolesOf(u *User) (roles []*Role, missing string, whole bool) {
	whole = true
	for _, name := range u.Roles {
		if r, ok := s.Role(name); ok {
			roles = append(roles, r)
		} else if whole {
			missing, whole = name, false
		}
	}
	return roles, missing, whole
}

// HasUsers reports whether there are any users.
func (s *State) HasUsers() bool {
	for range s.users.all() {
		return true
	}
	return false
}

// ListedUsers returns the users that a list shows, by the bytes of their names. Names that
// begin with "_" are left out: in etcd they are hidden nodes.
func (s *State) ListedUsers() []*User {
	list := slices.Collect(s.users.all())
	list = slices.DeleteFunc(list, func(u *User) bool { return hidden(u.Name) })
	slices.SortFunc(list, func(a, b *User) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// ListedRoles returns the roles that a list shows, in the same order, root among them.
func (s *State) ListedRoles() []*Role {
	list := append(slices.Collect(s.roles.all()), rootRole)
	list = slices.DeleteFunc(list, func(r *Role) bool { return hidden(r.Name) })
	slices.SortFunc(list, func(a, b *Role) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func hidden(name string) bool { return strings.HasPrefix(name, "_") }

func (u *User) size() int {
	if u == nil {
		return 0
	}
	return objectOverhead + len(u.Name) + len(u.Hash) + textsSize(u.Roles)
}

func (r *Role) size() int {
	if r == nil {
		return 0
	}
	return objectOverhead + len(r.Name) + textsSize(r.Read) + textsSize(r.Write)
}

func textsSize(list []string) (n int) {
	for _, text := range list {
		n += textOverhead + len(text)
	}
	return n
}
