package login

import (
	"bytes"
	"encoding/base64"
	"slices"
)

// parseBasic reads an Authorization header of the scheme Basic, in any case, followed by
// one blank and base64 with its padding. The password is all behind the first colon, and
// stays in room, if it is short, until that is used again.
func parseBasic(header []byte, room *[]byte) (name string, password []byte, ok bool) {
	const scheme = "Basic "
	if len(header) < len(scheme) || !bytes.EqualFold(header[:len(scheme)], []byte(scheme)) {
		return "", nil, false
	}
	text := header[len(scheme):]
	// The library skips line ends, which no header has.
	both := slices.Grow((*room)[:0], base64.StdEncoding.DecodedLen(len(text)))
	both = both[:cap(both)]
	if len(both) <= rememberLimit {
		*room = both
	}
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
