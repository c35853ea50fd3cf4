package auth

// State is all that the cluster knows about users and roles. It is immutable: every
// change makes a new one, which shares what didn't change. The zero State has no users,
// and auth is off.
type State struct {
	Enabled bool
	Users   []*User // sorted by Name, in the order of bytes
	Roles   []*Role // likewise; without root, which is built in
}

// User is one who may log in. Two states have the same *User under a name if and only
// if nothing has changed that user between them.
type User struct {
	Name string
	Hash string // bcrypt's, of the password
	// Roles are names, in the order in which they are shown. nil and empty are shown
	// differently. Those of root always contain root.
	Roles []string
}

// Role is a set of rights that users share.
type Role struct {
	Name string
	Permissions
	// Grant and Revoke are what the request that created the role had under these names:
	// no patterns, but etcd shows them until the role is updated. nil: nothing.
	Grant, Revoke *Permissions
}

// Permissions are the patterns of the keys that may be read and written. nil and empty
// lists are shown differently.
type Permissions struct{ Read, Write []string }

// The names that have a meaning.
const (
	Root  = "root"  // the user who always has the role root, and that role, which may do everything
	Guest = "guest" // the role of those who give no credentials
)

// User returns the user of that name.
func (s *State) User(name string) (u *User, ok bool) { return nil, false }

// Role returns the role of that name, which may be root.
func (s *State) Role(name string) (r *Role, ok bool) { return nil, false }

// Listed reports whether lists show the user or role of that name: as in etcd, whose
// hidden nodes they are, a name that begins with "_" isn't listed.
func Listed(name string) bool { return name == "" || name[0] != '_' }
