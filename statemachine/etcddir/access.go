package etcddir

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"copse/statemachine/auth"
)

// Where users and roles are.
const (
	enabledKey = "/2/enabled"
	usersKey   = "/2/users"
	rolesKey   = "/2/roles"
)

// Access is who may do what. The role root is built in, and not among the roles.
type Access struct {
	Enabled bool
	Users   []*auth.User // by name
	Roles   []*auth.Role // by name
}

// bcryptHash is a hash that passwords can be compared with, of a cost up to 14: one
// comparison is made at a time, and each step of the cost doubles what it takes. etcd's are
// of cost 10.
var bcryptHash = regexp.MustCompile(`^\$2[abxy]?\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$`)

// access returns users and roles, and what of them can't be taken over.
func (s *store) access() (a Access, left []string) {
	for n := range s.below(usersKey) {
		var u struct {
			Password string   `json:"password"`
			Roles    []string `json:"roles"`
		}
		if n.Dir {
			continue
		}
		name := strings.TrimPrefix(n.Key, usersKey+"/")
		if json.Unmarshal(n.Value, &u) != nil {
			left = append(left, "user "+name+", which can't be read")
			continue
		}
		if u.Password != "" && !bcryptHash.MatchString(u.Password) { // a user without a password is one in etcd, too
			left = append(left, "the password of user "+name+", whose hash is none of bcrypt's with a cost up to 14: set a new one")
			u.Password = ""
		}
		a.Users = append(a.Users, &auth.User{Name: name, Hash: u.Password, Roles: u.Roles})
	}
	for n := range s.below(rolesKey) {
		var r struct {
			Permissions permissions  `json:"permissions"`
			Grant       *permissions `json:"grant"`
			Revoke      *permissions `json:"revoke"`
		}
		name := strings.TrimPrefix(n.Key, rolesKey+"/")
		if n.Dir || name == auth.Root {
			continue
		}
		if json.Unmarshal(n.Value, &r) != nil {
			left = append(left, "role "+name+", which can't be read")
			continue
		}
		a.Roles = append(a.Roles, &auth.Role{Name: name, Permissions: auth.Permissions(r.Permissions.KV), Grant: r.Grant.keys(), Revoke: r.Revoke.keys()})
	}
	enabled, ok := s.Get(enabledKey)
	a.Enabled = ok && string(enabled.Value) == "true"
	slices.SortFunc(a.Users, func(a, b *auth.User) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(a.Roles, func(a, b *auth.Role) int { return strings.Compare(a.Name, b.Name) })
	return a, left
}

// permissions are in etcd's JSON.
type permissions struct {
	KV struct {
		Read  []string `json:"read"`
		Write []string `json:"write"`
	} `json:"kv"`
}

func (p *permissions) keys() *auth.Permissions {
	if p == nil {
		return nil
	}
	keys := auth.Permissions(p.KV)
	return &keys
}
