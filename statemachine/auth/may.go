package auth

// Who is the client that a request comes from. The zero value is nobody: a client whose
// credentials are wrong, who has no rights while auth is on.
type Who struct {
	name  string
	guest bool
}

// The guest gave no credentials.
var TheGuest = Who{guest: true}

// TheUser is the user of that name, who has proved it. Whether there is such a user now
// is for the state to say.
func TheUser(name string) Who { return Who{name: name} }

// Access is what is done to a key.
type Access uint8

const (
	Read Access = iota
	Write
)

// May reports whether who may do that to the key at path, the decoded path behind
// /v2/keys as it was sent ("" and "/" differ, and so do "/a" and "/a/"), and, if
// recursive, to all below it. It doesn't allocate.
func (s *State) May(who Who, what Access, path string, recursive bool) bool { return !s.Enabled }

// MayAdminister reports whether who may change users, roles, members and the flag
// itself: whoever has the role root, and everybody while auth is off.
func (s *State) MayAdminister(who Who) bool { return !s.Enabled }
