package auth

import (
	"encoding/binary"
	"errors"
	"fmt"

	"copse/statemachine/tree"
)

// What goes into the log and the store begins with a byte for its version, and then has
//
//	a change    op (1 byte), name, hash, roles, grant, revoke, read, write, keys to grant, keys to revoke
//	a user      hash, roles; its name is in the store's key
//	a role      read, write, grant, revoke; likewise
//	the flag    1 byte: 1 if auth is on
//
// A text is a uvarint length and bytes. A list is a uvarint, 0 for nil and otherwise 1
// more than it has texts, and the texts. Optional permissions are 1 byte, 0 for nil, or 1
// and the two lists.
//
// Outcomes have no version, because they don't leave the member: kind (1 byte), message,
// 1 byte that says whether a user (1) or a role (2) follows, its name, and the rest.
const version = 1

// ChangeLimit is the greatest length of an encoded change, in bytes.
const ChangeLimit = 1 << 20

// maxHash is the greatest length of a hash. bcrypt's have 60 bytes.
const maxHash = 128

// The errors of decoding. No client can cause them.
var (
	errVersion = errors.New("a newer version of copse wrote this about users and roles: start that version again")
	errShort   = errors.New("what was written about users and roles is truncated or damaged")
)

// Append appends the encoding of c to dst. If it is longer than ChangeLimit, it can't be
// read.
func (c *Change) Append(dst []byte) []byte {
	dst = append(dst, version, byte(c.Op))
	dst = appendText(appendText(dst, c.Name), c.Hash)
	dst = appendTexts(appendTexts(appendTexts(dst, c.Roles), c.Grant), c.Revoke)
	dst = appendPermissions(dst, &c.Permissions)
	return appendOptional(appendOptional(dst, c.GrantKeys), c.RevokeKeys)
}

// ReadChange decodes what Append has written, and refers to nothing of it. The error
// says that a newer copse wrote the data, or that they are damaged.
func ReadChange(data []byte) (*Change, error) {
	if len(data) > ChangeLimit {
		return nil, errShort
	}
	d, err := decoderOf(data)
	if err != nil {
		return nil, err
	}
	c := &Change{
		Op: Op(d.Byte()), Name: d.text(), Hash: d.text(),
		Roles: d.texts(), Grant: d.texts(), Revoke: d.texts(),
		Permissions: d.permissions(), GrantKeys: d.optional(), RevokeKeys: d.optional(),
	}
	named := c.Op >= PutUser && c.Op <= DeleteRole
	if c.Op == 0 || c.Op >= opEnd || named == (c.Name == "") || len(c.Hash) > maxHash {
		d.Fail()
	}
	return c, d.end()
}

// IsChange reports whether data is a change that this copse can carry out.
func IsChange(data []byte) bool {
	_, err := ReadChange(data)
	return err == nil
}

// Append appends u's record in the store, which has all but the name, to dst.
func (u *User) Append(dst []byte) []byte {
	return u.append(append(dst, version))
}

func (u *User) append(dst []byte) []byte { return appendTexts(appendText(dst, u.Hash), u.Roles) }

// ReadUser decodes the record of the user of that name; its errors are ReadChange's.
func ReadUser(name string, data []byte) (*User, error) {
	d, err := decoderOf(data)
	if err != nil {
		return nil, err
	}
	u := d.user(name)
	return u, d.end()
}

// Append appends r's record in the store, which has all but the name, to dst.
func (r *Role) Append(dst []byte) []byte {
	return r.append(append(dst, version))
}

func (r *Role) append(dst []byte) []byte {
	return appendOptional(appendOptional(appendPermissions(dst, &r.Permissions), r.Grant), r.Revoke)
}

// ReadRole decodes the record of the role of that name; its errors are ReadChange's.
func ReadRole(name string, data []byte) (*Role, error) {
	d, err := decoderOf(data)
	if err != nil {
		return nil, err
	}
	r := d.role(name)
	return r, d.end()
}

// AppendFlag appends the store's record of State.Enabled to dst.
func AppendFlag(dst []byte, enabled bool) []byte { return append(dst, version, boolByte(enabled)) }

// ReadFlag decodes what AppendFlag has written; its errors are ReadChange's.
func ReadFlag(data []byte) (enabled bool, err error) {
	d, err := decoderOf(data)
	if err != nil {
		return false, err
	}
	enabled = d.bool()
	return enabled, d.end()
}

// What follows an outcome.
const (
	withNeither = iota
	withUser
	withRole
)

// Append appends the encoding of o to dst.
func (o *Outcome) Append(dst []byte) []byte {
	dst = appendText(append(dst, byte(o.Kind)), o.Message)
	switch {
	case o.User != nil:
		return o.User.append(appendText(append(dst, withUser), o.User.Name))
	case o.Role != nil:
		return o.Role.append(appendText(append(dst, withRole), o.Role.Name))
	default:
		return append(dst, withNeither)
	}
}

// ReadOutcome decodes what Append has written.
func ReadOutcome(data []byte) (Outcome, error) {
	d := decoder{tree.NewDecoder(data)}
	o := Outcome{Kind: Kind(d.Byte()), Message: d.text()}
	switch d.Byte() {
	case withNeither:
	case withUser:
		o.User = d.user(d.text())
	case withRole:
		o.Role = d.role(d.text())
	default:
		d.Fail()
	}
	if o.Kind >= kindEnd {
		d.Fail()
	}
	return o, d.end()
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendTexts(dst []byte, list []string) []byte {
	if list == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(list))+1)
	for _, text := range list {
		dst = appendText(dst, text)
	}
	return dst
}

func appendPermissions(dst []byte, p *Permissions) []byte {
	return appendTexts(appendTexts(dst, p.Read), p.Write)
}

func appendOptional(dst []byte, p *Permissions) []byte {
	if p == nil {
		return append(dst, 0)
	}
	return appendPermissions(append(dst, 1), p)
}

// decoder reads what these functions have written.
type decoder struct{ tree.Decoder }

// decoderOf returns a decoder of what is behind the version.
func decoderOf(data []byte) (*decoder, error) {
	if len(data) > 0 && data[0] > version {
		return nil, fmt.Errorf("%w (version %d)", errVersion, data[0])
	}
	d := &decoder{tree.NewDecoder(data)}
	if d.Byte() != version {
		d.Fail()
	}
	return d, nil
}

// end returns the error of the fields read, and of anything behind them.
func (d *decoder) end() error {
	if d.Failed() || d.Left() > 0 {
		return errShort
	}
	return nil
}

func (d *decoder) bool() bool {
	b := d.Byte()
	if b > 1 {
		d.Fail()
	}
	return b == 1
}

func (d *decoder) text() string { return string(d.Bytes()) }

func (d *decoder) texts() []string {
	n := d.Uvarint()
	if n == 0 || n-1 > uint64(d.Left()) { // each text takes a byte at least
		if n > 0 {
			d.Fail()
		}
		return nil
	}
	list := make([]string, 0, n-1)
	for range n - 1 {
		list = append(list, d.text())
	}
	return list
}

func (d *decoder) permissions() Permissions { return Permissions{Read: d.texts(), Write: d.texts()} }

func (d *decoder) optional() *Permissions {
	if !d.bool() {
		return nil
	}
	p := d.permissions()
	return &p
}

func (d *decoder) user(name string) *User { return &User{Name: name, Hash: d.text(), Roles: d.texts()} }

func (d *decoder) role(name string) *Role {
	return &Role{Name: name, Permissions: d.permissions(), Grant: d.optional(), Revoke: d.optional()}
}
