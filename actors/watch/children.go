package watch

// children are the branches below one branch, by name. Most branches have few, if
// any, and a map with one entry would cost more than everything else about a
// parked watcher. So a few are kept in a list, many in a map. A nil children is
// empty.
type children struct {
	few  []child
	many map[string]*branch // nil until few overflows
}

type child struct {
	name   string
	branch *branch
}

const fewLimit = 8

func (c *children) get(name string) *branch {
	if c == nil {
		return nil
	}
	if c.many != nil {
		return c.many[name]
	}
	for i := range c.few {
		if c.few[i].name == name {
			return c.few[i].branch
		}
	}
	return nil
}

// put adds a child; there must be none of that name.
func (c *children) put(name string, s *branch) {
	switch {
	case c.many != nil:
		c.many[name] = s
	case len(c.few) < fewLimit:
		c.few = append(c.few, child{name: name, branch: s})
	default:
		c.many = make(map[string]*branch, 2*fewLimit)
		for _, old := range c.few {
			c.many[old.name] = old.branch
		}
		c.few = nil
		c.many[name] = s
	}
}

// drop removes the child called name, and reports whether none is left.
func (c *children) drop(name string) (empty bool) {
	delete(c.many, name)
	for i := range c.few {
		if c.few[i].name == name {
			last := len(c.few) - 1
			c.few[i] = c.few[last]
			c.few[last] = child{}
			c.few = c.few[:last]
			break
		}
	}
	return len(c.few) == 0 && len(c.many) == 0
}

// each calls f for every child. f may drop the child that it is given.
func (c *children) each(f func(name string, s *branch)) {
	if c == nil {
		return
	}
	for i := len(c.few) - 1; i >= 0; i-- {
		f(c.few[i].name, c.few[i].branch)
	}
	for name, s := range c.many {
		f(name, s)
	}
}
