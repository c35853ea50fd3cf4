package loop_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"copse/actors/loop"
)

func TestMailboxOfferNeverWaits(t *testing.T) {
	m := loop.NewMailbox[int](2, nil)
	for i, want := range []bool{true, true, false} {
		if got := m.Offer(i); got != want {
			t.Errorf("Offer(%d): got %v, want %v", i, got, want)
		}
	}
	if got := len(m.Messages()); got != 2 {
		t.Errorf("Len: got %d, want 2", got)
	}
	for want := range 2 {
		if got := <-m.Messages(); got != want {
			t.Errorf("message: got %d, want %d", got, want)
		}
	}
}

func TestMailboxSendWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loop.NewMailbox[int](1, make(chan struct{}))
		sent := make(chan error, 1)
		m.Offer(1)
		go func() { sent <- m.Send(context.Background(), 2) }()
		synctest.Wait()
		if len(sent) != 0 {
			t.Fatal("Send into a full mailbox returned")
		}
		<-m.Messages()
		if err := <-sent; err != nil {
			t.Errorf("Send: got %v, want no error", err)
		}
	})
}

func TestMailboxSendGivesUp(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	stopped := make(chan struct{})
	close(stopped)
	tests := map[string]struct {
		ctx  context.Context
		stop chan struct{}
		want error
	}{
		"context done":  {cancelled, make(chan struct{}), context.Canceled},
		"owner stopped": {context.Background(), stopped, loop.ErrStopped},
	}
	for name, tt := range tests {
		for _, room := range []int{0, 1} {
			m := loop.NewMailbox[int](room, tt.stop)
			if err := m.Send(tt.ctx, 1); !errors.Is(err, tt.want) {
				t.Errorf("%s, room for %d: got %v, want %v", name, room, err, tt.want)
			}
			if len(m.Messages()) != 0 {
				t.Errorf("%s: a refused message is in the mailbox", name)
			}
		}
	}
}

func TestMailboxSendIsWokenByStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		m := loop.NewMailbox[int](0, stop)
		sent := make(chan error, 1)
		go func() { sent <- m.Send(context.Background(), 1) }()
		synctest.Wait()
		close(stop)
		if err := <-sent; !errors.Is(err, loop.ErrStopped) {
			t.Errorf("Send: got %v, want %v", err, loop.ErrStopped)
		}
	})
}
