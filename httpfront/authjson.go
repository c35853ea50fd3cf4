package httpfront

import "copse/statemachine/auth"

// userInput is the body of a PUT of a user.
type userInput struct {
	User, Password       string
	Roles, Grant, Revoke []string
}

// userJSON is a user as GET shows it.
type userJSON struct {
	User  string     `json:"user"`
	Roles []roleJSON `json:"roles,omitempty"`
}

// roleJSON is a role as it comes and as it is shown, in etcd's order.
type roleJSON struct {
	Role        string           `json:"role"`
	Permissions permissionsJSON  `json:"permissions"`
	Grant       *permissionsJSON `json:"grant,omitempty"`
	Revoke      *permissionsJSON `json:"revoke,omitempty"`
}

type permissionsJSON struct {
	KV struct {
		Read  []string `json:"read"` // null and [] are told apart
		Write []string `json:"write"`
	} `json:"kv"`
}

func newRoleJSON(r *auth.Role) roleJSON {
	return roleJSON{
		Role:        r.Name,
		Permissions: *newPermissionsJSON(&r.Permissions),
		Grant:       newPermissionsJSON(r.Grant),
		Revoke:      newPermissionsJSON(r.Revoke),
	}
}

func newRolesJSON(roles []*auth.Role) (list []roleJSON) {
	for _, r := range roles {
		list = append(list, newRoleJSON(r))
	}
	return list
}

func newPermissionsJSON(p *auth.Permissions) *permissionsJSON {
	if p == nil {
		return nil
	}
	out := new(permissionsJSON)
	out.KV.Read, out.KV.Write = p.Read, p.Write
	return out
}

func (p *permissionsJSON) patterns() *auth.Permissions {
	if p == nil {
		return nil
	}
	return &auth.Permissions{Read: p.KV.Read, Write: p.KV.Write}
}
