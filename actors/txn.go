package actors

import (
	"errors"
	"fmt"

	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// sourceRefusal is why a mirror can't pass c on to its source; nil if it can.
func sourceRefusal(c *tree.Command) *tree.Error {
	switch {
	case c.Op == tree.OpTxn:
		return tree.Unavailable(errors.New("until a mirror is promoted its source carries out what is written, which knows no transactions"))
	case c.Once.ID != "":
		return tree.Unavailable(errors.New(tree.OnceRefused + "until a mirror is promoted its source carries out what is written, which knows none"))
	}
	return nil
}

// newerRefusal refuses what members of an older version couldn't read in the log. Once something of the
// kind is in it, all members can.
func (r *Router) newerRefusal(c *tree.Command) *tree.Error {
	if c.Op != tree.OpTxn && c.Once.ID == "" || r.member.membership.Able().Txns {
		return nil
	}
	for _, p := range r.parts {
		if p.machine.Newest() {
			return nil
		}
	}
	if c.Op == tree.OpTxn {
		return tree.Unavailable(errors.New("until all members of the cluster are of this version, and have said so, there are no transactions"))
	}
	return tree.Unavailable(errors.New(tree.OnceRefused + "until all members of the cluster are of this version, and have said so"))
}

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
