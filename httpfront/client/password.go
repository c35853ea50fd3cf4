package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// RootPassword is the variable with the password of root.
const RootPassword = "COPSE_ROOT_PASSWORD"

// Password is where the password of root comes from: the file, or else the variable, or
// else the terminal.
type Password struct {
	File    string   // "": there is none
	Environ []string // as os.Environ gives it
}

// Read returns the password, less the newlines at the end of a file.
func (p *Password) Read(ctx context.Context) (password string, err error) {
	from := p.File
	if p.File != "" {
		var text []byte
		text, err = os.ReadFile(p.File)
		password = strings.TrimRight(string(text), "\r\n")
	} else if password = p.variable(); password != "" {
		from = RootPassword
	} else {
		from = "the terminal"
		password, err = fromTerminal(ctx)
	}
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", fmt.Errorf("the password from %s is empty", from)
	case !utf8.ValidString(password): // JSON would carry another one
		return "", fmt.Errorf("the password from %s isn't UTF-8", from)
	}
	return password, nil
}

// Given reports whether there is one without asking at the terminal.
func (p *Password) Given() bool { return p.File != "" || p.variable() != "" }

func (p *Password) variable() (text string) {
	for _, entry := range p.Environ {
		if rest, ok := strings.CutPrefix(entry, RootPassword+"="); ok {
			text = rest
		}
	}
	return text
}

var errNoPassword = errors.New("there is no password: give --password-file or set " + RootPassword + ", or run this on a terminal")
