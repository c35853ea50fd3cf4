package ops

import (
	"net/http"
	"net/http/pprof"
	"sync"
)

const (
	mutexFraction = 10     // one in so many waits for a lock is in its profile
	blockRate     = 10_000 // nanoseconds of waiting to one sample
)

// contended serves a profile that the runtime makes only if it is told to, as that takes time: it is on
// while someone asks, for so many seconds as the parameter seconds says.
func contended(name string, switched func(on bool)) http.Handler {
	var one sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		switched(true)
		defer switched(false)
		pprof.Handler(name).ServeHTTP(w, r)
	})
}

// rate is the runtime's way to say that a profile is off.
func rate(on bool, of int) int {
	if !on {
		return 0
	}
	return of
}
