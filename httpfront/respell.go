package httpfront

import "bytes"

// respelled returns a head as fasthttp takes it, to mean the same: without the empty lines before
// it, and with CRLF at the end of each line; HTTP/1.1 in the place of versions between that and 2;
// and some host where none is named, for nothing depends on which. It is at most a third longer.
func respelled(head []byte) []byte {
	head = bytes.TrimLeft(head, "\r\n")
	out := make([]byte, 0, len(head)+bytes.Count(head, []byte{'\n'})+1)
	for first := true; len(head) > 0; first = false {
		i := bytes.IndexByte(head, '\n')
		line := bytes.TrimSuffix(head[:i], []byte{'\r'})
		out = append(out, line...)
		if first && isNewer(line) {
			out[len(out)-1] = '1'
		} else if value, ok := valueOf(line, "host"); ok && len(value) == 0 {
			out = append(out, '-')
		}
		out = append(out, '\r', '\n')
		head = head[i+1:]
	}
	return out
}

// isHost reports whether Go's HTTP library takes it for the value of Host.
func isHost(value []byte) bool {
	for _, c := range value {
		if !hostBytes[c] {
			return false
		}
	}
	return true
}

var hostBytes = func() (set [256]bool) {
	for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!$%&'()*+,-.:;=[]_~") {
		set[c] = true
	}
	return set
}()
