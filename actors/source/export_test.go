package source

import "time"

// Hurry sets how long an answer may take to begin.
func (c *Client) Hurry(limit time.Duration) { c.limits = limits{limit, limit} }
