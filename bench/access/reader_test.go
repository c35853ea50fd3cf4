package access

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"

	"copse/bench/v2api"
)

// A reader asks one member for anything as anybody, and judges the answers.
type reader struct {
	*world
	at     *member
	rng    *rand.Rand
	client *http.Client
	tally  map[int]int // answers, by status
}

var paths = []string{"/", "", "/d", "/d/", "/d/a", "/d/b", "/d/_h", "/e", "/f/g", "/d/none"}

// run reads until stop is closed, and returns the first wrong answer.
func (r *reader) run(stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := r.step(); err != nil {
			return err
		}
	}
}

func (r *reader) step() error {
	lowest := int(r.at.known.Load())
	pool := r.states(lowest)
	who, password := guest, ""
	if n := r.rng.IntN(3); n < len(userNames) {
		who = userNames[n]
		if r.rng.IntN(30) == 0 {
			pool = r.states(0) // an old password, perhaps: each costs a hash
		}
		password = pool[r.rng.IntN(len(pool))].passwords[who]
	}
	path, query, method, body := paths[r.rng.IntN(len(paths))], "", http.MethodGet, ""
	recursive := r.rng.IntN(2) == 0
	switch r.rng.IntN(10) {
	case 0:
		method, body = http.MethodPut, "value=x&prevExist=true"
	case 1:
		method, body, recursive = http.MethodPost, "value=x&ttl=1", false
	case 2:
		method, query = http.MethodDelete, "prevIndex=1"
	case 3:
		query = "quorum=true"
	case 4:
		query = "wait=true&waitIndex=1" // the past, if it is still there
		if path == "/" || path == "" {
			query = "sorted=true"
		}
	}
	if recursive {
		query += "&recursive=true"
	}
	if strings.HasPrefix(query, "wait") {
		return nil // a watch of the past may have to wait for its first event
	}
	status, text, err := r.at.ask(r.client, who, password, method, "/v2/keys"+path+"?"+query, body)
	if err != nil || status >= http.StatusInternalServerError {
		return nil // it is being restarted, or has no leader
	}
	r.tally[status]++
	what := fmt.Sprintf("%s of %s?%s by %s at %s: %d %.200s", method, path, query, who, r.at.Name, status, text)
	return r.judge(what, r.states(lowest), status, text, path, func(s state) bool {
		return s.may(who, password, method != http.MethodGet, path, recursive)
	})
}

// judge returns an error if none of the states explains the answer.
func (r *reader) judge(what string, states []state, status int, text, path string, may func(state) bool) error {
	shown := status != http.StatusUnauthorized
	for i, s := range states {
		if may(s) == shown {
			break
		}
		if i == len(states)-1 {
			return fmt.Errorf("%s\nis explained by none of the states\n%+v", what, states)
		}
	}
	var got v2api.Event
	if !shown || json.Unmarshal([]byte(text), &got) != nil {
		return nil
	}
	nodes := map[string]v2api.Node{}
	v2api.Flatten(&got.Node, nodes)
	for key := range nodes {
		below := strings.TrimPrefix(key, strings.TrimSuffix(path, "/"))
		if strings.Contains(below, "/_") {
			return fmt.Errorf("%s\nshows the hidden %s", what, key)
		}
	}
	return nil
}
