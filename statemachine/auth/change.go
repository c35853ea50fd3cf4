package auth

// Op is what a Change does.
type Op uint8

// The operations. Zero is invalid.
const (
	Enable  Op = iota + 1 // gives the guest all rights, if there is no role guest
	Disable               // keeps users and roles
	PutUser               // creates or updates a user
	DeleteUser
	PutRole // creates or updates a role
	DeleteRole
	// Init makes the user root, leaves the guest without rights, and enables auth: all,
	// or nothing if auth is on or there is a user root.
	Init

	opEnd
)

// Change is one request to change users, roles or the flag, as it travels in the log.
// What depends on nothing but the request is checked before: whether the body's name is
// the URL's, and that roles or permissions don't come with grant or revoke. As in etcd's
// API, absent and empty lists differ where an answer shows them.
type Change struct {
	Op   Op
	Name string // of the user or the role; empty for the others

	// Hash is bcrypt's, of the password that Init or PutUser was given; "": none was.
	Hash string
	// For PutUser. Grant and Revoke name roles.
	Roles, Grant, Revoke []string
	// For PutRole. nil: not given.
	Permissions           Permissions
	GrantKeys, RevokeKeys *Permissions
}

// Outcome says what became of a change.
type Outcome struct {
	Kind    Kind
	Message string // why it was refused, in etcd's words
	User    *User  // after PutUser, as the answer shows it: without its hash
	Role    *Role  // after PutRole, as the answer shows it
}

// Kind is the kind of an Outcome.
type Kind uint8

// The kinds, each with the HTTP status that says it.
const (
	OK        Kind = iota // 200
	Created               // 201
	Invalid               // 400
	Forbidden             // 403
	NotFound              // 404
	Conflict              // 409

	kindEnd
)

// Refused reports whether the change changed nothing.
func (o *Outcome) Refused() bool { return o.Kind > Created }

// NoUser and NoRole are the outcomes of asking for what isn't there.
func NoUser(name string) Outcome { return refuse(NotFound, "User "+name+" does not exist.") }

// NoRole is documented at NoUser.
func NoRole(name string) Outcome { return refuse(NotFound, "Role "+name+" does not exist.") }

// TooLong is the outcome of a change longer than ChangeLimit.
func TooLong() Outcome { return refuse(Invalid, "The request is too long.") }

func refuse(kind Kind, text string) Outcome { return Outcome{Kind: kind, Message: "auth: " + text} }
