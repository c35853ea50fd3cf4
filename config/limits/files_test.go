package limits

import "testing"

func TestClientsLeaveFilesForTheStores(t *testing.T) {
	for _, c := range []struct {
		limit uint64
		want  OpenFiles
	}{
		{64, OpenFiles{Clients: 10, Store: 33}},
		{1024, OpenFiles{Clients: 768, Store: 85}},
		{1 << 20, OpenFiles{Clients: 1<<20 - 1500, Store: 500}},
		{1<<64 - 1, OpenFiles{Clients: 1<<30 - 1500, Store: 500}},
	} {
		if got := share(c.limit); got != c.want {
			t.Errorf("of %d: %+v, want %+v", c.limit, got, c.want)
		}
	}
}
