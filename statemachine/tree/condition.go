package tree

import "fmt"

// match returns the file at the command's key if it meets the conditions.
func (a *applier) match() (Node, *Error) {
	n, err := a.find(a.cmd.Key)
	if err == nil && n.Dir {
		err = a.fail(CodeNotFile, a.cmd.Key)
	}
	if err == nil {
		err = a.compare(&n)
	}
	return n, err
}

// compare checks n against the command's prevValue and prevIndex. The cause lists
// the failed conditions as [given != actual], the value's first.
func (a *applier) compare(n *Node) *Error {
	c := a.cmd
	valueOK := c.PrevValue == "" || c.PrevValue == string(n.Value)
	indexOK := c.PrevIndex == 0 || c.PrevIndex == n.Modified
	switch {
	case valueOK && indexOK:
		return nil
	case indexOK:
		return a.fail(CodeCompareFailed, fmt.Sprintf("[%s != %s]", c.PrevValue, n.Value))
	case valueOK:
		return a.fail(CodeCompareFailed, fmt.Sprintf("[%d != %d]", c.PrevIndex, n.Modified))
	default:
		return a.fail(CodeCompareFailed, fmt.Sprintf("[%s != %s] [%d != %d]", c.PrevValue, n.Value, c.PrevIndex, n.Modified))
	}
}
