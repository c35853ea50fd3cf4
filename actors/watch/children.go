package watch

// children are the spots below one spot, by name. Most spots that have any
// have a few, and a map of one entry costs more than all that a parked watcher
// should: a few are kept in a list, many in a map. A nil children is empty.
type children struct {
	few  []child
	many map[string]*spot // nil until few overflows
}

type child struct {
	name string
	spot *spot
}

const fewLimit = 8

func (c *children) get(name string) *spot {
	if c == nil {
		return nil
	}
	if c.many != nil {
		return c.many[name]
	}
	for i := range c.few {
		if c.few[i].name == name {
			return c.few[i].spot
		}
	}
	return nil
}

// put adds a child that isn't there yet.
func (c *children) put(name string, s *spot) {
	switch {
	case c.many != nil:
		c.many[name] = s
	case len(c.few) < fewLimit:
		c.few = append(c.few, child{name: name, spot: s})
	default:
		c.many = make(map[string]*spot, 2*fewLimit)
		for _, old := range c.few {
			c.many[old.name] = old.spot
		}
		c.few = nil
		c.many[name] = s
	}
}

// drop takes out the child called name and reports whether none is left.
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
func (c *children) each(f func(name string, s *spot)) {
	if c == nil {
		return
	}
	for i := len(c.few) - 1; i >= 0; i-- {
		f(c.few[i].name, c.few[i].spot)
	}
	for name, s := range c.many {
		f(name, s)
	}
}
