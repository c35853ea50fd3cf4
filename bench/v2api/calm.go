package v2api

import (
	"fmt"
	"time"
)

// Calm looks at a tree that nobody writes to any more, and that nothing keeps from expiring:
// what it first showed to expire at some time is gone then. The zero Calm has seen nothing.
type Calm struct{ ends map[string]time.Time }

// calmSlack is for a slow machine, and for an election on it.
const calmSlack = 10 * time.Second

// Look reports whether nothing has a ttl any more.
func (c *Calm) Look(now time.Time, nodes map[string]Node) (over bool, err error) {
	if c.ends == nil {
		c.ends = map[string]time.Time{}
	}
	over = true
	for key, n := range nodes {
		if n.Expiration == nil {
			continue
		}
		over = false
		end, known := c.ends[key]
		if !known {
			end = *n.Expiration
			c.ends[key] = end
		}
		if late := now.Sub(end); late > calmSlack {
			return false, fmt.Errorf("%s is still there %v after it was to expire, at %v", key, late, end)
		}
	}
	return over, nil
}
