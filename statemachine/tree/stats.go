package tree

// Stats are the counters of /v2/stats/store. Writes are counted when they are
// applied, so every member has the same counts; reads and watchers are counted on the
// member that serves them.
type Stats struct {
	GetsSuccess, GetsFail                         uint64
	SetsSuccess, SetsFail                         uint64
	DeleteSuccess, DeleteFail                     uint64
	UpdateSuccess, UpdateFail                     uint64
	CreateSuccess, CreateFail                     uint64
	CompareAndSwapSuccess, CompareAndSwapFail     uint64
	CompareAndDeleteSuccess, CompareAndDeleteFail uint64
	ExpireCount                                   uint64
	Watchers                                      uint64 // waiting now
}

// Add adds the counts of o.
func (s *Stats) Add(o *Stats) {
	from := o.counters()
	for i, n := range s.counters() {
		*n += *from[i]
	}
}

func (s *Stats) counters() []*uint64 {
	return []*uint64{
		&s.GetsSuccess, &s.GetsFail, &s.SetsSuccess, &s.SetsFail, &s.DeleteSuccess, &s.DeleteFail,
		&s.UpdateSuccess, &s.UpdateFail, &s.CreateSuccess, &s.CreateFail,
		&s.CompareAndSwapSuccess, &s.CompareAndSwapFail, &s.CompareAndDeleteSuccess, &s.CompareAndDeleteFail,
		&s.ExpireCount, &s.Watchers,
	}
}

// CountWrite counts one applied command, which succeeded if ok. It ignores operations
// without counters of their own; expiries are counted by their events. Of a transaction that
// succeeds its commands are counted instead; one that is refused is a failed comparison.
func (s *Stats) CountWrite(op Op, ok bool) {
	count, fail := s.writes(op)
	if !ok {
		count = fail
	}
	if count != nil {
		*count++
	}
}

func (s *Stats) writes(op Op) (success, fail *uint64) {
	switch op {
	case OpSet:
		return &s.SetsSuccess, &s.SetsFail
	case OpCreate, OpCreateInOrder:
		return &s.CreateSuccess, &s.CreateFail
	case OpUpdate:
		return &s.UpdateSuccess, &s.UpdateFail
	case OpCompareAndSwap:
		return &s.CompareAndSwapSuccess, &s.CompareAndSwapFail
	case OpDelete:
		return &s.DeleteSuccess, &s.DeleteFail
	case OpCompareAndDelete:
		return &s.CompareAndDeleteSuccess, &s.CompareAndDeleteFail
	case OpTxn:
		return nil, &s.CompareAndSwapFail
	default:
		return nil, nil
	}
}
