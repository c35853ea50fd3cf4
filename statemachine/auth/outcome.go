package auth

// Outcome says what became of a change.
type Outcome struct {
	Kind    Kind
	Message string // of a refusal, as clients get it
	User    *User  // after PutUser, as it is to be shown; without its hash
	Role    *Role  // after PutRole, as it is to be shown
}

// Kind is the kind of an Outcome.
type Kind uint8

// The kinds, with the HTTP status that v2 has for them.
const (
	OK        Kind = iota // 200
	Created               // 201
	Invalid               // 400
	Forbidden             // 403
	NotFound              // 404
	Conflict              // 409
)

// Refused reports whether nothing was changed.
func (o *Outcome) Refused() bool { return o.Kind >= Invalid }
