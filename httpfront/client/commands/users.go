package commands

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// user is one in the JSON of the API.
type user struct {
	User     string   `json:"user"`
	Password string   `json:"password,omitempty"`
	Grant    []string `json:"grant,omitempty"`
	Revoke   []string `json:"revoke,omitempty"`
}

// permissions of a role.
type permissions struct {
	KV struct {
		Read  []string `json:"read"`
		Write []string `json:"write"`
	} `json:"kv"`
}

type role struct {
	Role        string       `json:"role"`
	Permissions permissions  `json:"permissions"`
	Grant       *permissions `json:"grant,omitempty"`
	Revoke      *permissions `json:"revoke,omitempty"`
}

// names lists all users or roles.
func (t *tool) names(ctx context.Context, path, many, one string) error {
	var list map[string][]map[string]any
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodGet, Path: path}, &list); err != nil {
		return err
	}
	for _, entry := range list[many] {
		fmt.Fprintln(t.Out, entry[one])
	}
	return nil
}

func (t *tool) userGet(ctx context.Context, name string) error {
	var u struct{ Roles []role }
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/v2/auth/users/" + name}, &u); err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "User: %s\nRoles: ", name)
	for _, r := range u.Roles {
		fmt.Fprint(t.Out, " ", r.Role)
	}
	_, err := fmt.Fprintln(t.Out)
	return err
}

func (t *tool) roleGet(ctx context.Context, name string) error {
	var r role
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/v2/auth/roles/" + name}, &r); err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "Role: %s\nKV Read:\n", name)
	for _, path := range r.Permissions.KV.Read {
		fmt.Fprintf(t.Out, "\t%s\n", path)
	}
	fmt.Fprintln(t.Out, "KV Write:")
	for _, path := range r.Permissions.KV.Write {
		fmt.Fprintf(t.Out, "\t%s\n", path)
	}
	return nil
}

// askNew asks for a new password if the command needs one that isn't on its line.
func (t *tool) askNew(ctx context.Context, args *cli.Name) (err error) {
	if t.line.Name == "user passwd" || t.line.Name == "user add" && !strings.Contains(args.Name, ":") {
		t.password, err = t.ask(ctx, "New password: ")
	}
	return err
}

func (t *tool) userAdd(ctx context.Context, name string) error {
	name, password, given := strings.Cut(name, ":")
	if !given {
		password = t.password
	}
	return t.change(ctx, "users", name, &user{User: name, Password: password}, "User %s created\n")
}

func (t *tool) userPasswd(ctx context.Context, name string) error {
	// The API would make a user that there isn't.
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/v2/auth/users/" + name}, nil); err != nil {
		return err
	}
	return t.change(ctx, "users", name, &user{User: name, Password: t.password}, "Password updated\n")
}

func (t *tool) userRoles(ctx context.Context, args *cli.Roles) error {
	u, roles := &user{User: args.Name.Name}, args.Roles
	if t.line.Name == "user grant" {
		u.Grant = roles
	} else {
		u.Revoke = roles
	}
	return t.change(ctx, "users", u.User, u, "User %s updated\n")
}

// change puts a user or role, and prints what was done.
func (t *tool) change(ctx context.Context, many, name string, body any, done string) error {
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodPut, Path: "/v2/auth/" + many + "/" + name, JSON: body}, nil); err != nil {
		return err
	}
	return t.say(done, name)
}

// say prints a line with a name in it, or without.
func (t *tool) say(done, name string) (err error) {
	if strings.Contains(done, "%s") {
		done = fmt.Sprintf(done, name)
	}
	_, err = fmt.Fprint(t.Out, done)
	return err
}

func (t *tool) roleAdd(ctx context.Context, name string) error {
	// The API would let a role be put again, without its permissions.
	var list struct{ Roles []role }
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/v2/auth/roles"}, &list); err != nil {
		return err
	}
	if slices.ContainsFunc(list.Roles, func(r role) bool { return r.Role == name }) {
		return usage("Role %s already exists", name)
	}
	return t.change(ctx, "roles", name, &role{Role: name}, "Role %s created\n")
}

func (t *tool) rolePermit(ctx context.Context, args *cli.Permission) error {
	p, r := new(permissions), &role{Role: args.Name.Name}
	switch {
	case !strings.HasPrefix(args.Path, "/"):
		return usage("paths begin at the root: --path=/%s", args.Path)
	case args.Read:
		p.KV.Read = []string{args.Path}
	case args.Write:
		p.KV.Write = []string{args.Path}
	case args.ReadWrite:
		p.KV.Read, p.KV.Write = []string{args.Path}, []string{args.Path}
	default:
		return usage("one of --read, --write and --readwrite is needed")
	}
	if t.line.Name == "role grant" {
		r.Grant = p
	} else {
		r.Revoke = p
	}
	return t.change(ctx, "roles", args.Name.Name, r, "Role %s updated\n")
}

func (t *tool) drop(ctx context.Context, many, name, done string) error {
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodDelete, Path: "/v2/auth/" + many + "/" + name}, nil); err != nil {
		return err
	}
	return t.say(done, name)
}

func (t *tool) enable(ctx context.Context, method, done string) error {
	if err := t.client.JSON(ctx, v2.Request{Method: method, Path: "/v2/auth/enable"}, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.Out, done)
	return err
}
