package auth

import (
	"slices"
	"strings"
)

// Size is what a state counts against sizeLimit.
func Size(s *State) int { return s.size }

// All returns all users and roles, sorted by name.
func All(s *State) (users []*User, roles []*Role) {
	users = slices.SortedFunc(s.users.all(), func(a, b *User) int { return strings.Compare(a.Name, b.Name) })
	roles = slices.SortedFunc(s.roles.all(), func(a, b *Role) int { return strings.Compare(a.Name, b.Name) })
	return users, roles
}
