package statemachine

import "fmt"

// Flush writes out what has been applied so far, so that the next Sync, for which Update has
// to wait, has little left to do. It gives up waiting when stop is closed. Any goroutine may
// call it.
func (m *Machine) Flush(stop <-chan struct{}) error {
	h, err := m.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	flushed, err := h.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-stop:
	}
	return nil
}

// Sync makes everything applied so far durable. Raft may drop those log entries then.
func (m *Machine) Sync() error {
	began := m.measures.begin()
	defer m.measures.end(m.measures.Sync, began)
	if c := m.home.now(); c.raft == m.meta.raftIndex && c.tree == m.meta.last {
		return m.note(m.store) // a compaction may have replaced files
	}
	return m.makeDurable()
}

// makeDurable flushes the store, and notes in CURRENT what it holds now.
func (m *Machine) makeDurable() error {
	if err := m.store.db.Flush(); err != nil {
		return fmt.Errorf("flush %s: %w", m.home.dir, err)
	}
	return m.note(m.store)
}

// note writes CURRENT, all that was applied being durable, and removes the files that it
// doesn't list any more.
func (m *Machine) note(h *handle) error {
	var removed []string
	if err := m.home.change(func(c *current) {
		c.raft, c.tree = m.meta.raftIndex, m.meta.last
		c.blobs, removed = h.files.list()
	}); err != nil {
		return err
	}
	return h.files.release(removed)
}
