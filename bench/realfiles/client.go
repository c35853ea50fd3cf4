package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"copse/bench/v2api"
)

// client speaks to one server, over connections that it keeps.
type client struct {
	base string
	http *http.Client
}

const answerLimit = 60 * time.Second

func newClient(endpoint string, connections int) *client {
	return &client{
		base: strings.TrimSuffix(endpoint, "/") + "/v2/keys",
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: connections,
			DisableCompression:  true,
		}},
	}
}

func (c *client) open(ctx context.Context, method, key, query string, value []byte) (*http.Response, error) {
	target := c.base + escape(key)
	if query != "" {
		target += "?" + query
	}
	var body io.Reader
	if method == http.MethodPut {
		body = strings.NewReader("value=" + url.QueryEscape(string(value)))
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.http.Do(req)
}

// do sends one request and returns the event that answers it. An answer other
// than one of the wanted statuses is an error.
func (c *client) do(method, key, query string, value []byte, want ...int) (v2api.Event, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	resp, err := c.open(ctx, method, key, query, value)
	if err != nil {
		return v2api.Event{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return v2api.Event{}, fmt.Errorf("%s %q: %w", method, key, err)
	}
	for _, status := range want {
		if resp.StatusCode != status {
			continue
		}
		var ev v2api.Event
		if err := json.Unmarshal(body, &ev); err != nil {
			return v2api.Event{}, fmt.Errorf("%s %q: %w", method, key, err)
		}
		return ev, nil
	}
	return v2api.Event{}, fmt.Errorf("%s %q?%s: status %d: %.200s", method, key, query, resp.StatusCode, body)
}
