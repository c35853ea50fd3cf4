package shard

import (
	"time"

	"copse/statemachine/tree"
)

// valuesInParts bounds the large values of this member's clients that are on their way in parts. Others wait: all at
// once would each take as long as all of them together, and too long for their writers.
const valuesInParts = 2

// DoInParts is Do for a command whose value is large: that is staged first, part by part.
func (i *intake) DoInParts(c *tree.Command) tree.Reply {
	deadline := time.Now().Add(i.timeout)
	err := i.admitted(c) // all of it, before the first part
	if err == nil {
		err = i.turn(deadline)
	}
	if err != nil {
		i.measures.settled(1, 0, err)
		return failed(err)
	}
	number, failed := i.stage(c, deadline)
	<-i.values
	if failed != nil {
		return tree.Reply{Err: failed}
	}
	return i.do(c.WithStaged(number), deadline)
}

// turn waits until another large value may be on its way.
func (i *intake) turn(deadline time.Time) error {
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case i.values <- struct{}{}:
		return nil
	case <-late.C:
		return ErrTimeout
	case <-i.life.Stopping():
		return ErrStopped
	}
}

// stage brings the value of c into the store, and returns its number.
func (i *intake) stage(c *tree.Command, deadline time.Time) (number tree.Index, failed *tree.Error) {
	for from := 0; from < len(c.Value); {
		var part *tree.Command
		part, from = c.Part(from, number)
		reply := i.do(part, deadline)
		if reply.Err != nil {
			if number != 0 { // it would be refused, as a part is missing; then the value is forgotten
				i.Submit(c.WithStaged(number), func(tree.Reply) {})
			}
			return 0, reply.Err
		}
		if number == 0 {
			number = reply.Staged()
		}
	}
	return number, nil
}
