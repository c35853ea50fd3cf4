package login

import (
	"bytes"
	"encoding/base64"
)

// parseBasic reads an Authorization header of the scheme Basic, in any case, followed by
// one blank and base64 with its padding. The password is all behind the first colon.
func parseBasic(header []byte) (name string, password []byte, ok bool) {
	const scheme = "Basic "
	if len(header) < len(scheme) || !bytes.EqualFold(header[:len(scheme)], []byte(scheme)) {
		return "", nil, false
	}
	text := header[len(scheme):]
	// The library skips line ends, which no header has.
	both := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(both, text)
	if err != nil {
		return "", nil, false
	}
	user, password, ok := bytes.Cut(both[:n], []byte{':'})
	if !ok {
		return "", nil, false
	}
	return string(user), password, true
}
