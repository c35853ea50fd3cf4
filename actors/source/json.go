package source

import (
	"encoding/json"
	"fmt"
	"time"

	"copse/statemachine/tree"
)

// node is a node as v2 prints it.
type node struct {
	Key           string     `json:"key"`
	Value         string     `json:"value"`
	Value64       []byte     `json:"value64"` // from a copse: the bytes, which Value may not be able to show
	Dir           bool       `json:"dir"`
	Expiration    *time.Time `json:"expiration"`
	TTL           int64      `json:"ttl"`
	ModifiedIndex tree.Index `json:"modifiedIndex"`
	CreatedIndex  tree.Index `json:"createdIndex"`
	Nodes         []node     `json:"nodes"`
}

func (n *node) decode() tree.Node {
	out := tree.Node{Key: n.Key, Dir: n.Dir, Modified: n.ModifiedIndex, Created: n.CreatedIndex}
	if !n.Dir {
		if out.Value, out.Written = n.Value64, n.ModifiedIndex; n.Value64 == nil {
			out.Value = []byte(n.Value)
		}
	}
	if n.Expiration != nil {
		out.Expires = n.Expiration.UnixNano()
	}
	return out
}

// flatten appends n, unless it is the root, and all below it.
func (n *node) flatten(to []tree.Node) []tree.Node {
	if n.Key != "" && n.Key != "/" {
		to = append(to, n.decode())
	}
	for i := range n.Nodes {
		to = n.Nodes[i].flatten(to)
	}
	return to
}

// sound reports whether a node's indexes are possible.
func sound(n *tree.Node) bool { return max(n.Created, n.Modified) <= indexLimit }

// event is an event as v2 prints it.
type event struct {
	Action   string `json:"action"`
	Node     *node  `json:"node"`
	PrevNode *node  `json:"prevNode"`
}

func (e *event) decode() (*tree.Event, error) {
	out := &tree.Event{}
	for a := tree.ActionSet; a <= tree.ActionExpire; a++ {
		if a.String() == e.Action {
			out.Action = a
		}
	}
	if out.Action == 0 || e.Node == nil || len(e.Node.Key) < 2 || e.Node.Key[0] != '/' || e.Node.ModifiedIndex == 0 {
		return nil, fmt.Errorf("the source sent something that is no event: action %.200q", e.Action)
	}
	out.Node = e.Node.decode()
	dated := e.Node
	if !sound(&out.Node) {
		return nil, errIndex
	}
	if e.PrevNode != nil {
		if out.Prev, out.HasPrev = e.PrevNode.decode(), true; !sound(&out.Prev) {
			return nil, errIndex
		}
		if dated.Expiration == nil {
			dated = e.PrevNode
		}
	}
	if dated.Expiration != nil { // the source printed ttl at this time
		out.Now = dated.Expiration.Add(-time.Duration(dated.TTL) * time.Second).UnixNano()
	}
	return out, nil
}

// ReadEvent reads an event as v2 prints it, such as the answer to a write.
func ReadEvent(text []byte) (*tree.Event, error) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	return e.decode()
}
