package actors

import (
	"errors"
	"fmt"

	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// errTxnOfSource is why a mirror refuses a transaction: no etcd knows any.
var errTxnOfSource = errors.New("until a mirror is promoted its source carries out what is written, which knows no transactions")

// spread is the refusal of a transaction whose keys live in several shards; nil for all else.
func (r *Router) spread(c *tree.Command) (refusal *tree.Error) {
	if c.Op != tree.OpTxn {
		return nil
	}
	t, err := txn.Read(c)
	if err != nil {
		return tree.Unavailable(err)
	}
	of := r.at(c.Key)
	t.Keys(func(key string) bool {
		if p := r.at(key); p != of {
			refusal = &tree.Error{Code: tree.CodeInvalidField, Cause: fmt.Sprintf("the keys live in several shards: %s in shard %d, %s in shard %d", c.Key, of.id, key, p.id), Index: r.State().Index}
		}
		return refusal == nil
	})
	return refusal
}
