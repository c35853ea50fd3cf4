package etcddir

import (
	"encoding/json"
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

// access returns users and roles, and what of them can't be read.
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
			left = append(left, "user "+name)
			continue
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
			left = append(left, "role "+name)
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
