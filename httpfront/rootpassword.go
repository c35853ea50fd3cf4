package httpfront

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"copse/httpfront/login"
	"copse/statemachine/auth"
)

// ResetRoot gives the user root the password in the file, less the newline at its end. It
// asks nobody's permission: it is for the operator of a machine on which the password was
// lost. It waits until the change is applied here, and logs that it was made. Without the name of a
// file it does nothing.
func (s *Server) ResetRoot(file string) error {
	if file == "" {
		return nil
	}
	password, err := os.ReadFile(file)
	if err == nil {
		err = s.resetRoot(string(bytes.TrimRight(password, "\r\n")))
	}
	if err != nil {
		return fmt.Errorf("root-password-file: %w", err)
	}
	s.opts.Log.Warn("the password of the user root was set anew: remove root-password-file", "file", file)
	return nil
}

func (s *Server) resetRoot(password string) error {
	if password == "" {
		return errors.New("it is empty")
	}
	hash, err := s.logins.Hash(password, &login.Client{})
	if err != nil {
		return err
	}
	out, fault := s.backend.ChangeAuth(&auth.Change{Op: auth.PutUser, Name: auth.Root, Hash: hash})
	switch {
	case fault != nil:
		return fault
	case out.Refused():
		return errors.New(out.Message)
	}
	return nil
}
