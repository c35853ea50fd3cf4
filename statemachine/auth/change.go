package auth

import "errors"

// Op is what a Change does.
type Op uint8

// The operations. Zero is invalid.
const (
	Enable Op = iota + 1 // makes the role guest, with all rights, if there is none
	Disable
	PutUser
	DeleteUser
	PutRole
	DeleteRole
	// Init makes the user root with Hash, takes all rights from the guest, and enables
	// auth. It is refused where there is a user root, or auth is on.
	Init
)

// Change is one request to change users, roles or the flag, as it travels in the log.
// What concerns only the form of the request is checked before: the name in the body
// against the one in the URL, and that there are not both permissions, or roles, and
// grant or revoke. Empty lists and nil differ where an answer shows them.
type Change struct {
	Op   Op
	Name string // of the user or role; empty for the flag and Init

	// PutUser.
	Hash                 string // bcrypt's, of the new password; "": none was given. Init has it too.
	Roles, Grant, Revoke []string

	// PutRole.
	Permissions           Permissions
	GrantKeys, RevokeKeys *Permissions // nil: not given
}

// AppendChange appends the encoding of c to dst. It may be too long for the log; see
// ReadChange.
func AppendChange(dst []byte, c *Change) []byte { return dst }

// ReadChange decodes what AppendChange has written. It copies what it keeps.
func ReadChange(data []byte) (*Change, error) { return nil, errors.ErrUnsupported }
