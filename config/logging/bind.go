package logging

import (
	"errors"
	"syscall"
)

// BindAdvice is what to say behind an error of a listener: what may be wrong, if the error
// tells, and the flag that sets the address.
func BindAdvice(err error, flag string) string {
	advice := "--" + flag + " sets the address"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "is another server running there? " + advice
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 need CAP_NET_BIND_SERVICE; " + advice
	}
	return advice
}
