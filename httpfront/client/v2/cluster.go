package v2

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Member is one of the cluster.
type Member struct {
	ID         string   `json:"id,omitempty"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs,omitempty"`
}

// Members lists them.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var list struct{ Members []Member }
	err := c.JSON(ctx, Request{Method: http.MethodGet, Path: "/v2/members"}, &list)
	return list.Members, err
}

// Leader is the member that leads. A cluster without one gives an *Error.
func (c *Client) Leader(ctx context.Context) (m Member, err error) {
	return m, c.JSON(ctx, Request{Method: http.MethodGet, Path: "/v2/members/leader"}, &m)
}

// JSON makes a request, and reads the answer into to, unless that is nil.
func (c *Client) JSON(ctx context.Context, r Request, to any) error {
	answer, err := c.Do(ctx, r)
	if err != nil || to == nil {
		return err
	}
	return json.Unmarshal(answer.Body, to)
}

// At returns a client for only one server of the cluster.
func (c *Client) At(endpoint string) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, withoutURL(err)
	}
	return &Client{o: c.o, http: c.http, endpoints: []*url.URL{u}}, nil
}

// Anonymous is At without the user: for an operations port, which asks for no password, and
// may be reached in the clear where the clients' port isn't.
func (c *Client) Anonymous(endpoint string) (*Client, error) {
	one, err := c.At(endpoint)
	if err == nil {
		one.o.User, one.o.Password = "", ""
	}
	return one, err
}
