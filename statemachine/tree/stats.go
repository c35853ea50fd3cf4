package tree

// Stats are the counters of /v2/stats/store. Writes are counted where they are
// applied, so on every member alike; reads and watchers on the member that
// serves them.
type Stats struct {
	GetsSuccess, GetsFail                         uint64
	SetsSuccess, SetsFail                         uint64
	DeleteSuccess, DeleteFail                     uint64
	UpdateSuccess, UpdateFail                     uint64
	CreateSuccess, CreateFail                     uint64
	CompareAndSwapSuccess, CompareAndSwapFail     uint64
	CompareAndDeleteSuccess, CompareAndDeleteFail uint64
	ExpireCount                                   uint64
	Watchers                                      uint64
}

// Add adds what o has counted.
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

// CountWrite counts one applied command of the kind op that did, or didn't,
// succeed. Expiries are counted by their events.
func (s *Stats) CountWrite(op Op, ok bool) {
	success, fail := s.writes(op)
	switch {
	case success == nil:
	case ok:
		*success++
	default:
		*fail++
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
	default:
		return nil, nil
	}
}
