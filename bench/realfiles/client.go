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
)

// node and event are what v2 prints of them, as far as it matters here.
type node struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Dir      bool   `json:"dir"`
	Nodes    []node `json:"nodes"`
	Modified uint64 `json:"modifiedIndex"`
	Created  uint64 `json:"createdIndex"`
}

type event struct {
	Action string `json:"action"`
	Node   node   `json:"node"`
	Prev   *node  `json:"prevNode"`
}

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
func (c *client) do(method, key, query string, value []byte, want ...int) (event, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	resp, err := c.open(ctx, method, key, query, value)
	if err != nil {
		return event{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return event{}, fmt.Errorf("%s %q: %w", method, key, err)
	}
	for _, status := range want {
		if resp.StatusCode != status {
			continue
		}
		var ev event
		if err := json.Unmarshal(body, &ev); err != nil {
			return event{}, fmt.Errorf("%s %q: %w", method, key, err)
		}
		return ev, nil
	}
	return event{}, fmt.Errorf("%s %q?%s: status %d: %.200s", method, key, query, resp.StatusCode, body)
}
