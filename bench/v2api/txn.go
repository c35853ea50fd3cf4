package v2api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Txn is copse's transaction: all of Compare must hold, and then all of Ops succeed, each on what
// those before it left; otherwise nothing changes. Ops are writes. They may not have a RequestID.
type Txn struct {
	Compare []Compare `json:"compare,omitempty"`
	Ops     []Request `json:"ops"`
}

// Compare is a condition on one node. What is nil or zero doesn't count.
type Compare struct {
	Key    string  `json:"key"`
	Value  *string `json:"value,omitempty"`
	Index  uint64  `json:"index,omitempty"`
	Exists *bool   `json:"exists,omitempty"`
}

func (t *Txn) String() string {
	var parts []string
	for _, c := range t.Compare {
		if c.Value != nil {
			parts = append(parts, fmt.Sprintf("if %s has %.60q", c.Key, *c.Value))
		}
		if c.Index != 0 {
			parts = append(parts, fmt.Sprintf("if %s is of %d", c.Key, c.Index))
		}
		if c.Exists != nil {
			parts = append(parts, fmt.Sprintf("if %s exists: %v", c.Key, *c.Exists))
		}
	}
	for i := range t.Ops {
		parts = append(parts, t.Ops[i].String())
	}
	return "[" + strings.Join(parts, "; ") + "]"
}

// txnOp is an operation as copse reads it.
type txnOp struct {
	Op        string  `json:"op"`
	Key       string  `json:"key"`
	Value     *string `json:"value,omitempty"`
	Dir       bool    `json:"dir,omitempty"`
	Recursive bool    `json:"recursive,omitempty"`
	PrevValue string  `json:"prevValue,omitempty"`
	PrevIndex uint64  `json:"prevIndex,omitempty"`
}

func opOf(r *Request) txnOp {
	op := txnOp{Key: r.Key, Dir: r.Dir, Recursive: r.Recursive, PrevValue: r.PrevValue, PrevIndex: r.PrevIndex}
	if r.Value != "" {
		value := whole(r.Value)
		op.Value = &value
	}
	switch {
	case r.Method == http.MethodPost:
		op.Op = "createInOrder"
	case r.Method == http.MethodDelete && r.Compares():
		op.Op = "compareAndDelete"
	case r.Method == http.MethodDelete:
		op.Op = "delete"
	case r.Compares():
		op.Op = "compareAndSwap"
	case r.PrevExist == "true":
		op.Op = "update"
	case r.PrevExist == "false":
		op.Op = "create"
	default:
		op.Op = "set"
	}
	return op
}

// DoTxn sends t to the server at base, to be carried out once if id isn't empty, and reads the answer.
func DoTxn(ctx context.Context, client *http.Client, base string, t *Txn, id string) (Reply, error) {
	sent := struct {
		Compare []Compare `json:"compare,omitempty"`
		Ops     []txnOp   `json:"ops"`
	}{Compare: slices.Clone(t.Compare)}
	for i := range sent.Compare {
		if c := &sent.Compare[i]; c.Value != nil {
			value := whole(*c.Value)
			c.Value = &value
		}
	}
	for i := range t.Ops {
		sent.Ops = append(sent.Ops, opOf(&t.Ops[i]))
	}
	body, err := json.Marshal(sent)
	if err != nil {
		return Reply{}, err
	}
	target := base + "/v2/copse/txn"
	if id != "" {
		target += "?requestId=" + url.QueryEscape(id)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	return read(Send(client, req))
}

// ParseTxn interprets the answer to a transaction, as Parse does that to another write.
func (r *Reply) ParseTxn(err error) (Outcome, []Event, *Fault) {
	if err != nil || r.Status != http.StatusOK {
		outcome, _, fault := r.Parse(err)
		return outcome, nil, fault
	}
	var done struct{ Results []Event }
	if json.Unmarshal(r.Body, &done) != nil || len(done.Results) == 0 {
		return Unknown, nil, nil
	}
	return Acked, done.Results, nil
}
