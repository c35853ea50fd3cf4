package source

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// These are the requests of an import that a mirror doesn't make. They may be made as root.

// Login has everything read as root from now on. It has to be called before all requests.
func (c *Client) Login(password string) {
	c.root = "Basic " + base64.StdEncoding.EncodeToString([]byte(auth.Root+":"+password))
}

// Open begins to read key and all that is visible below it, with a quorum of the source. The
// body is v2's answer, which the caller closes; nil: there is no such key.
func (c *Client) Open(ctx context.Context, key string) (io.ReadCloser, Position, error) {
	r, err := c.retry(ctx, keyPath(key), wholeRead, c.limits.tree)
	if err != nil {
		return nil, Position{}, err
	}
	p := position(r.Header)
	if r.StatusCode == http.StatusOK {
		return r.Body, p, nil
	}
	defer r.Body.Close()
	err = refused(r)
	var e *tree.Error
	if errors.As(err, &e) && e.Code == tree.CodeKeyNotFound {
		p.Index, err = max(p.Index, e.Index), nil
	}
	return nil, p, err
}

// retry asks one member after the other until one answers.
func (c *Client) retry(ctx context.Context, path, query string, limit time.Duration) (r *http.Response, err error) {
	err = errNowhere
	for range c.members() {
		if r, err = c.ask(ctx, http.MethodGet, path, query, limit); err == nil || ctx.Err() != nil {
			break
		}
	}
	return r, err
}

// named is a role in an answer.
type named struct {
	Role        string `json:"role"`
	Permissions struct {
		KV struct {
			Read  []string `json:"read"`
			Write []string `json:"write"`
		} `json:"kv"`
	} `json:"permissions"`
}

// Access returns the users, whose hashes the source doesn't show, and the roles except root,
// which is built in. There are none if the source is too old to have any.
func (c *Client) Access(ctx context.Context) (users []*auth.User, roles []*auth.Role, err error) {
	var list struct {
		Users []struct {
			User  string  `json:"user"`
			Roles []named `json:"roles"`
		} `json:"users"`
		Roles []named `json:"roles"`
	}
	if err := c.get(ctx, "/v2/auth/users", &list); err != nil {
		return nil, nil, err
	}
	for _, u := range list.Users {
		user := &auth.User{Name: u.User}
		for _, r := range u.Roles {
			user.Roles = append(user.Roles, r.Role)
		}
		users = append(users, user)
	}
	if err := c.get(ctx, "/v2/auth/roles", &list); err != nil {
		return nil, nil, err
	}
	for _, r := range list.Roles {
		if r.Role != auth.Root {
			roles = append(roles, &auth.Role{Name: r.Role, Permissions: auth.Permissions(r.Permissions.KV)})
		}
	}
	return users, roles, nil
}

// Cluster returns the version of the source's cluster and its members, as far as it tells.
func (c *Client) Cluster(ctx context.Context) (version string, members []tree.Member, err error) {
	var v struct {
		Cluster string `json:"etcdcluster"`
		Members []struct {
			Name string `json:"name"`
		} `json:"members"`
	}
	if err := c.get(ctx, "/version", &v); err != nil {
		return "", nil, err
	}
	if err := c.get(ctx, "/v2/members", &v); err != nil {
		return "", nil, err
	}
	for _, m := range v.Members {
		members = append(members, tree.Member{Name: m.Name})
	}
	return v.Cluster, members, nil
}

// get reads the JSON at a path. If the source has no such path, into stays as it is.
func (c *Client) get(ctx context.Context, path string, into any) error {
	r, err := c.retry(ctx, path, "", c.limits.head)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, answerLimit+1))
	switch {
	case err != nil:
		return err
	case len(text) > answerLimit:
		return errLong
	case r.StatusCode == http.StatusNotFound:
		return nil
	case r.StatusCode == http.StatusUnauthorized:
		return ErrUnauthorized
	case r.StatusCode != http.StatusOK:
		return fmt.Errorf("the source answers %q to %s: %.200q", r.Status, path, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s of the source: %.200q: %w", path, strings.TrimSpace(string(text)), err)
	}
	return nil
}
