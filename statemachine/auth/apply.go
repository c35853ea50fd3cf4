package auth

import (
	"maps"
	"slices"
)

// Apply carries out c. If c is refused, next is s itself. A change that is not refused
// makes a new state, which keeps the lists of c.
func (s *State) Apply(c *Change) (next *State, out Outcome) {
	next = s.copy()
	switch c.Op {
	case Enable:
		out = next.enable()
	case Disable:
		out = next.disable()
	case PutUser:
		out = next.putUser(c)
	case DeleteUser:
		out = next.deleteUser(c.Name)
	case PutRole:
		out = next.putRole(c)
	case DeleteRole:
		out = next.deleteRole(c.Name)
	case Init:
		out = next.init(c.Hash)
	default: // ReadChange lets none through
		out = refuse(Invalid, "Unknown operation.")
	}
	if !out.Refused() && next.size > max(s.size, sizeLimit) {
		out = refuse(Forbidden, "Users and roles have no room left.")
	}
	if out.Refused() {
		return s, out
	}
	return next, out
}

// copy returns a state that may be changed by the methods below until it is published.
// None of them changes what s shares with it.
func (s *State) copy() *State {
	next := *s
	return &next
}

// setUser puts u in the place of the user of that name, or takes that away if u is nil.
func (s *State) setUser(name string, u *User) {
	s.size += u.size() - s.users.get(name).size()
	s.users.set(name, u)
}

// setRole is setUser for roles.
func (s *State) setRole(name string, r *Role) {
	s.size += r.size() - s.roles.get(name).size()
	s.roles.set(name, r)
}

func (s *State) enable() Outcome {
	if s.Enabled {
		return refuse(Conflict, "already enabled")
	}
	if _, ok := s.User(Root); !ok {
		return refuse(Conflict, "No root user available, please create one")
	}
	if _, ok := s.Role(Guest); !ok {
		s.setRole(Guest, &Role{Name: Guest, Permissions: everything()})
	}
	s.Enabled = true
	return Outcome{}
}

func (s *State) disable() Outcome {
	if !s.Enabled {
		return refuse(Conflict, "already disabled")
	}
	s.Enabled = false
	return Outcome{}
}

func (s *State) init(hash string) Outcome {
	if s.Enabled {
		return refuse(Conflict, "already enabled")
	}
	if out := s.createUser(&Change{Name: Root, Hash: hash}); out.Refused() {
		return out
	}
	s.setRole(Guest, &Role{Name: Guest, Permissions: Permissions{Read: []string{}, Write: []string{}}})
	s.Enabled = true
	return Outcome{}
}

func (s *State) putUser(c *Change) Outcome {
	u, ok := s.User(c.Name)
	switch {
	case len(c.Grant)+len(c.Revoke) > 0:
		if !ok {
			return NoUser(c.Name)
		}
		return s.updateUser(u, c)
	case len(c.Roles) > 0: // creates only, and yet answers 200
		out := s.createUser(c)
		if out.Kind == Created {
			out.Kind = OK
		}
		return out
	case ok:
		return s.updateUser(u, c)
	default:
		return s.createUser(c)
	}
}

func (s *State) createUser(c *Change) Outcome {
	if c.Hash == "" {
		return refuse(Invalid, "Cannot create user "+c.Name+" with an empty password")
	}
	if _, ok := s.User(c.Name); ok {
		return refuse(Conflict, "User "+c.Name+" already exists.")
	}
	u := &User{Name: c.Name, Hash: c.Hash, Roles: withRoot(c.Name, c.Roles)}
	s.setUser(c.Name, u)
	return Outcome{Kind: Created, User: &User{Name: u.Name, Roles: u.Roles}}
}

// updateUser changes the user old, and shows its roles as a sorted set. If root gives up
// the role root the answer says so, but root has it again at once.
func (s *State) updateUser(old *User, c *Change) Outcome {
	held := setOf(old.Roles)
	for _, name := range c.Grant {
		if held[name] {
			return refuse(Conflict, "Granting duplicate role "+name+" for user "+c.Name)
		}
		held[name] = true
	}
	for _, name := range c.Revoke {
		if !held[name] {
			return refuse(Conflict, "Revoking ungranted role "+name+" for user "+c.Name)
		}
		delete(held, name)
	}
	roles := sorted(held)
	if c.Hash == "" && same(roles, old.Roles) {
		return refuse(Invalid, "User not updated. Use grant/revoke/password to update the user.")
	}
	u := &User{Name: old.Name, Hash: old.Hash, Roles: withRoot(old.Name, roles)}
	if c.Hash != "" {
		u.Hash = c.Hash
	}
	s.setUser(u.Name, u)
	return Outcome{User: &User{Name: u.Name, Roles: roles}}
}

// withRoot returns the roles of the user of that name: root has the role root.
func withRoot(name string, roles []string) []string {
	if name != Root || slices.Contains(roles, Root) {
		return roles
	}
	return append(slices.Clip(roles), Root)
}

func (s *State) deleteUser(name string) Outcome {
	if s.Enabled && name == Root {
		return refuse(Forbidden, "Cannot delete root user while auth is enabled.")
	}
	if _, ok := s.User(name); !ok {
		return refuse(NotFound, "User "+name+" does not exist") // without a full stop
	}
	s.setUser(name, nil)
	return Outcome{}
}

func (s *State) putRole(c *Change) Outcome {
	old, ok := s.Role(c.Name)
	switch {
	case c.Name == Root:
		return rootIsFixed()
	case !c.GrantKeys.Empty() || !c.RevokeKeys.Empty():
		if !ok {
			return NoRole(c.Name)
		}
		return s.updateRole(old, c)
	case ok:
		return refuse(Conflict, "Role "+c.Name+" already exists.")
	}
	r := &Role{Name: c.Name, Permissions: c.Permissions, Grant: c.GrantKeys, Revoke: c.RevokeKeys}
	s.setRole(c.Name, r)
	return Outcome{Kind: Created, Role: r}
}

func rootIsFixed() Outcome { return refuse(Forbidden, "Cannot modify role root: is root role.") }

func (s *State) updateRole(old *Role, c *Change) Outcome {
	grant, revoke := c.GrantKeys, c.RevokeKeys
	if grant == nil {
		grant = &Permissions{}
	}
	if revoke == nil {
		revoke = &Permissions{}
	}
	r := &Role{Name: old.Name}
	var twice string
	var ok bool
	if r.Read, twice, ok = regranted(old.Read, grant.Read, revoke.Read); !ok {
		return refuse(Conflict, "Granting duplicate read permission "+twice)
	}
	if r.Write, twice, ok = regranted(old.Write, grant.Write, revoke.Write); !ok {
		return refuse(Conflict, "Granting duplicate write permission "+twice)
	}
	if old.Grant == nil && old.Revoke == nil && same(r.Read, old.Read) && same(r.Write, old.Write) {
		return refuse(Invalid, "Role not updated. Use grant/revoke to update the role.")
	}
	s.setRole(r.Name, r)
	return Outcome{Role: r}
}

// regranted returns patterns with those of grant and without those of revoke, as a
// sorted set; or the first of grant that was there before.
func regranted(patterns, grant, revoke []string) (next []string, twice string, ok bool) {
	held := setOf(patterns)
	for _, pattern := range grant {
		if held[pattern] {
			return nil, pattern, false
		}
		held[pattern] = true
	}
	for _, pattern := range revoke {
		delete(held, pattern)
	}
	return sorted(held), "", true
}

func (s *State) deleteRole(name string) Outcome {
	if name == Root {
		return rootIsFixed()
	}
	if _, ok := s.Role(name); !ok {
		return refuse(NotFound, "Role "+name+" doesn't exist.") // other words than those of NoRole
	}
	s.setRole(name, nil)
	return Outcome{}
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, text := range list {
		set[text] = true
	}
	return set
}

// sorted returns the texts of a set in order. It is never nil.
func sorted(set map[string]bool) []string {
	list := slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
	slices.Sort(list)
	return list
}

// same reports whether two lists are shown alike.
func same(a, b []string) bool { return (a == nil) == (b == nil) && slices.Equal(a, b) }
