package loop

// Bell wakes a loop when something it has to look at has changed. It carries no
// message: however often it rings before the loop looks, the loop wakes once.
type Bell chan struct{}

// NewBell returns a silent bell.
func NewBell() Bell { return make(Bell, 1) }

// Ring wakes the loop that receives from the bell. It never blocks.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default: // it is ringing already
	}
}
