//go:build race

package httpfront

import "syscall"

// The race detector takes what goes over a socket for an order between the two
// ends, as it should, only if it sees calls of package syscall, as those of package net are.
func rawRead(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

func rawWrite(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
