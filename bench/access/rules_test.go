package access

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// A role is the patterns of keys that may be read and written.
type role struct{ read, write []string }

// A state is who may do what. It is never changed: with makes the next one.
type state struct {
	roles     map[string]role
	users     map[string][]string // the names of their roles
	passwords map[string]string
}

// The names that are used.
const (
	root  = "root"
	guest = "guest" // the role, and who gives no credentials
)

var userNames, roleNames = []string{"u", "v"}, []string{"a", "b", guest}

// initial is the state that each run starts from. The guest may always write what tells
// that a member serves, see peer.Server.WaitReady.
func initial() state {
	return state{
		roles:     map[string]role{guest: {read: []string{"/e"}, write: []string{"/not-there"}}, "a": {read: []string{"/d*"}}, "b": {write: []string{"/d/*"}}},
		users:     map[string][]string{root: {root}, "u": {"a"}, "v": {"a", "b"}},
		passwords: map[string]string{root: "pw", "u": "u0", "v": "v0"},
	}
}

// knows reports whether somebody is who he says, which the guest doesn't.
func (s state) knows(who, password string) bool {
	return who == guest || s.passwords[who] != "" && s.passwords[who] == password
}

// may says whether somebody may read or write a path, as a client sends it, and, if
// recursive, all below it.
func (s state) may(who, password string, writes bool, path string, recursive bool) bool {
	roles := s.users[who]
	switch {
	case !s.knows(who, password):
		return false
	case who == guest:
		roles = []string{guest}
	case slices.Contains(roles, root):
		return true
	}
	for _, name := range roles {
		list := s.roles[name].read
		if writes {
			list = s.roles[name].write
		}
		for _, pattern := range list {
			prefix, star := strings.CutSuffix(pattern, "*")
			if star && strings.HasPrefix(path, prefix) || !star && !recursive && path == pattern {
				return true
			}
		}
	}
	return false
}

// A change is one step of the driver's: what it asks of /v2/auth, and the state after.
type change struct {
	method, path, body string
	after              state
}

var patterns = []string{"/d", "/d/", "/d/*", "/d*", "/*", "*", "/d/a", "/e", "/d/_h"}

// nextChange draws a change that will not be refused.
func nextChange(t *rapid.T, s state) change {
	s = state{maps.Clone(s.roles), maps.Clone(s.users), maps.Clone(s.passwords)}
	switch rapid.SampledFrom([]string{"role", "role", "role", "user", "password"}).Draw(t, "change of a") {
	case "role":
		return s.changeRole(t, rapid.SampledFrom(roleNames).Draw(t, "role"))
	case "user":
		name := rapid.SampledFrom(userNames).Draw(t, "user")
		has, of := s.users[name], rapid.SampledFrom(roleNames).Draw(t, "role")
		verb := "grant"
		if i := slices.Index(has, of); i >= 0 {
			verb = "revoke"
			s.users[name] = slices.Delete(slices.Clone(has), i, i+1)
		} else {
			s.users[name] = append(slices.Clone(has), of)
		}
		return change{"PUT", "/v2/auth/users/" + name, object("user", name, verb, []string{of}), s}
	}
	name := rapid.SampledFrom(userNames).Draw(t, "user")
	s.passwords[name] += "+" // never one that it had before
	return change{"PUT", "/v2/auth/users/" + name, object("user", name, "password", s.passwords[name]), s}
}

func (s state) changeRole(t *rapid.T, name string) change {
	path := "/v2/auth/roles/" + name
	had, there := s.roles[name]
	if there && rapid.IntRange(0, 9).Draw(t, "remove it") == 9 {
		delete(s.roles, name)
		return change{"DELETE", path, "", s}
	}
	pattern := rapid.SampledFrom(patterns).Draw(t, "pattern")
	list, kv := &had.read, "read"
	if rapid.IntRange(0, 2).Draw(t, "write") == 2 {
		list, kv = &had.write, "write"
	}
	verb := "grant"
	if !there {
		verb = "permissions"
	}
	if i := slices.Index(*list, pattern); i >= 0 {
		verb = "revoke"
		*list = slices.Delete(slices.Clone(*list), i, i+1)
	} else {
		*list = append(slices.Clone(*list), pattern)
	}
	s.roles[name] = had
	return change{"PUT", path, object("role", name, verb, map[string]any{"kv": map[string]any{kv: []string{pattern}}}), s}
}
