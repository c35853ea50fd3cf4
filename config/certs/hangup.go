package certs

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// ReloadOnHangup reads the certificates again at each SIGHUP, by way of around, until stop
// is called, which waits for the end of its goroutine. Certificates that can't be used are
// logged, and never end the process.
func (s Set) ReloadOnHangup(around func(reload func()), log *slog.Logger) (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			around(func() { s.hangup(log) })
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

func (s Set) hangup(log *slog.Logger) {
	switch err := s.Reload(); {
	case len(s.all()) == 0:
		log.Info("SIGHUP: no certificates to reload; changes of other settings need a restart", "component", "tls")
	case err != nil:
		log.Error("SIGHUP: certificates can't be used, the previous ones stay in use", "component", "tls", "err", err)
	default:
		log.Info("SIGHUP: certificates reloaded", "component", "tls")
	}
}
