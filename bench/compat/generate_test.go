package compat

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// A generator makes requests that are likely to meet: few names, few values,
// conditions that often hold.
type generator struct {
	rng *rand.Rand
	// nodes has the last value and index that answers have shown, by key. It is a
	// guess, because deletions of directories are not tracked.
	nodes map[string]node
	keys  []string // of nodes
}

type node struct {
	value string
	index uint64 // modifiedIndex, from the start
}

var (
	names  = []string{"a", "b", "c", "ab", "_h", "%3C&", "%C3%A9"}
	values = []string{"one", "two", "", "a%20%22b%22%0A", "%3Ctag%3E%E2%80%A8%FF"}
)

func pick[T any](g *generator, from []T) T { return from[g.rng.IntN(len(from))] }

func (g *generator) chance(percent int) bool { return g.rng.IntN(100) < percent }

// key is a path below /v2/keys, "" for the root at times.
func (g *generator) key() string {
	if g.chance(40) && len(g.keys) > 0 {
		return pick(g, g.keys)
	}
	if g.chance(2) {
		return "/"
	}
	var b strings.Builder
	for range 1 + g.rng.IntN(3) {
		b.WriteString("/" + pick(g, names))
	}
	return b.String()
}

// knownKey is mostly one that an answer has shown.
func (g *generator) knownKey() string {
	if len(g.keys) == 0 || g.chance(20) {
		return g.key()
	}
	return pick(g, g.keys)
}

// learn takes from an answer what later requests may refer to.
func (g *generator) learn(key string, value string, index uint64) {
	const limit = 40
	if _, known := g.nodes[key]; !known {
		if len(g.keys) == limit {
			g.forget(pick(g, g.keys))
		}
		g.keys = append(g.keys, key)
	}
	g.nodes[key] = node{value, index}
}

func (g *generator) forget(key string) {
	if i := slices.Index(g.keys, key); i >= 0 {
		g.keys = slices.Delete(g.keys, i, i+1)
		delete(g.nodes, key)
	}
}

// An operation is a request for a key.
type operation struct {
	request
	key string
}

// next makes a request that is not a watch. index is the tree's current index.
func (g *generator) next(index uint64) operation {
	op := operation{key: g.key()}
	query, form := url.Values{}, []string{}
	switch n := g.rng.IntN(100); {
	case n < 25:
		op.method, op.kind = "PUT", "sets"
		form = g.content()
	case n < 32:
		op.method, op.kind = "PUT", "create"
		form = append(g.content(), "prevExist=false")
	case n < 41:
		op.method, op.kind = "PUT", "update"
		form = append(g.content(), "prevExist=true")
	case n < 51:
		op.method, op.kind = "PUT", "compareAndSwap"
		op.key = g.knownKey()
		form = g.content()
		g.condition(query, op.key)
	case n < 57:
		op.method, op.kind = "POST", "create"
		form = g.content()
	case n < 62:
		op.method, op.kind = "DELETE", "compareAndDelete"
		op.key = g.knownKey()
		g.condition(query, op.key)
	case n < 72:
		op.method, op.kind = "DELETE", "delete"
	default:
		op.method, op.kind = "GET", "gets"
		if g.chance(10) {
			op.method = "HEAD"
		}
	}
	if op.kind == "compareAndSwap" && g.chance(20) {
		query.Set("prevExist", "true")
	}
	for _, flag := range []string{"recursive", "sorted", "quorum", "noValueOnSuccess", "dir"} {
		if g.chance(15) || op.kind == "delete" && flag != "sorted" && g.chance(30) {
			query.Set(flag, pick(g, []string{"true", "1", "T", "true", "false"}))
		}
	}
	if g.chance(3) {
		g.spoil(query)
	}
	op.target = "/v2/keys" + op.key
	q := decodedIndexes(query.Encode())
	body := strings.Join(form, "&")
	switch n := g.rng.IntN(100); {
	case n < 8: // all in the query
		q, body = strings.Trim(q+"&"+body, "&"), ""
	case n < 12: // in both, where the body wins
		q = strings.Trim(q+"&value=query&ttl=5000", "&")
	}
	if q != "" {
		op.target += "?" + q
	}
	op.body = body
	return op
}

// decodedIndexes undoes the escaping of @n@.
func decodedIndexes(q string) string {
	return strings.ReplaceAll(q, "%40", "@")
}

// content is the form of a write: mostly a value, or a directory, or the
// renewal of a TTL. TTLs are long: what expires in the middle would do so at
// another moment on each server.
func (g *generator) content() []string {
	ttl := fmt.Sprintf("ttl=%d", 1000+g.rng.IntN(100_000))
	switch n := g.rng.IntN(100); {
	case n < 12:
		return []string{"refresh=true", ttl}
	case n < 24:
		return []string{"dir=true"}
	case n < 28:
		return []string{"dir=true", ttl}
	case n < 30:
		return nil
	case n < 45:
		return []string{"value=" + pick(g, values), ttl}
	}
	return []string{"value=" + pick(g, values)}
}

// condition compares with the current state, as far as it is known, or with something else.
func (g *generator) condition(query url.Values, key string) {
	n, known := g.nodes[key]
	if !known || g.chance(25) {
		n = node{value: "other", index: uint64(g.rng.IntN(20))}
	}
	byValue := n.value != "" && g.chance(50)
	if byValue {
		query.Set("prevValue", n.value)
	}
	if !byValue || g.chance(30) {
		query.Set("prevIndex", fmt.Sprintf("@%d@", n.index))
	}
}

// spoil breaks a parameter.
func (g *generator) spoil(query url.Values) {
	bad := pick(g, []string{"prevIndex=x", "waitIndex=-1", "ttl=1.5", "recursive=", "sorted=yes",
		"dir=2", "quorum=on", "stream=TrUe", "noValueOnSuccess=n", "refresh=yes", "prevExist=", "prevValue="})
	name, value, _ := strings.Cut(bad, "=")
	query.Set(name, value)
}
