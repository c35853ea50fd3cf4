package v2api

import (
	"strings"
	"time"
)

// Node is a key-tree node as the server prints it, without the ttl: that one
// depends on when it was printed.
type Node struct {
	Key        string     `json:"key"`
	Value      string     `json:"value,omitempty"`
	Dir        bool       `json:"dir,omitempty"`
	Expiration *time.Time `json:"expiration,omitempty"`
	Nodes      []Node     `json:"nodes,omitempty"`
	Modified   uint64     `json:"modifiedIndex"`
	Created    uint64     `json:"createdIndex"`
}

// Event is one change, as a writer's answer or a watcher showed it, or a read.
type Event struct {
	Action string `json:"action"`
	Node   Node   `json:"node"`
	Prev   *Node  `json:"prevNode,omitempty"`
}

// Index is the change's place in the one order that v2 promises.
func (e *Event) Index() uint64 { return e.Node.Modified }

// Fault is v2's error.
type Fault struct {
	Code    int    `json:"errorCode"`
	Message string `json:"message"`
	Cause   string `json:"cause,omitempty"`
	Index   uint64 `json:"index"`
}

// Within reports whether key is dir or lies below it.
func Within(key, dir string) bool {
	return key == dir || strings.HasPrefix(key, dir+"/")
}

// Flatten lists a node and all below it by key.
func Flatten(n *Node, into map[string]Node) {
	if n == nil {
		return
	}
	for i := range n.Nodes {
		Flatten(&n.Nodes[i], into)
	}
	plain := *n
	plain.Nodes = nil
	into[n.Key] = plain
}

// ClockSlack is how far two readings of one machine's clock may differ.
const ClockSlack = 20 * time.Millisecond

// SameEnd compares the expiration that a write gave a node with one that is shown later; none
// equals none. Where times to live may have stood still in between, it may be later, never earlier.
func SameEnd(given, shown *time.Time, stoodStill bool) bool {
	if given == nil || shown == nil {
		return given == shown
	}
	later := shown.Sub(*given)
	return later >= -ClockSlack && (stoodStill || later <= ClockSlack)
}
