package httpfront

import (
	"bytes"
	"errors"
	"mime"
	"net/url"
)

// paramID names a parameter of /v2/keys.
type paramID uint8

const (
	paramPrevIndex paramID = iota
	paramWaitIndex
	paramRecursive
	paramSorted
	paramWait
	paramDir
	paramQuorum
	paramStream
	paramPrevValue
	paramNoValueOnSuccess
	paramTTL
	paramPrevExist
	paramRefresh
	paramValue

	// Those that v2 doesn't have.
	paramLimit
	paramAfter
	paramAtIndex
	paramDepth
	paramKeysOnly
	paramCountOnly
	paramShowHidden
	paramTTLMs
	paramMinIndex
	paramMaxStale
	paramWaitMax
	paramHeartbeat
	paramPrefix
	paramRequestID
	paramRaw
	paramEncoding
	paramValue64

	paramCount
)

var paramNames = [paramCount]string{
	paramPrevIndex:        "prevIndex",
	paramWaitIndex:        "waitIndex",
	paramRecursive:        "recursive",
	paramSorted:           "sorted",
	paramWait:             "wait",
	paramDir:              "dir",
	paramQuorum:           "quorum",
	paramStream:           "stream",
	paramPrevValue:        "prevValue",
	paramNoValueOnSuccess: "noValueOnSuccess",
	paramTTL:              "ttl",
	paramPrevExist:        "prevExist",
	paramRefresh:          "refresh",
	paramValue:            "value",
	paramLimit:            "limit",
	paramAfter:            "after",
	paramAtIndex:          "atIndex",
	paramDepth:            "depth",
	paramKeysOnly:         "keysOnly",
	paramCountOnly:        "count",
	paramShowHidden:       "showHidden",
	paramTTLMs:            "ttlMs",
	paramMinIndex:         "minIndex",
	paramMaxStale:         "maxStale",
	paramWaitMax:          "waitMax",
	paramHeartbeat:        "heartbeat",
	paramPrefix:           "prefix",
	paramRequestID:        "requestId",
	paramRaw:              "raw",
	paramEncoding:         "encoding",
	paramValue64:          "value64",
}

func paramByName(name []byte) (paramID, bool) {
	for id := range paramNames {
		if string(name) == paramNames[id] {
			return paramID(id), true
		}
	}
	return 0, false
}

// param is one parameter as it was sent, decoded but not parsed.
type param struct {
	text  []byte
	given bool
	more  uint8  // further values there are of a prefix, up to one too many
	next  *param // one of them
}

// params holds the first value of each known parameter, and of prefix all; unknown ones must
// be decodable, and are dropped.
type params [paramCount]param

// prefixLimit is how many prefixes a watch may have.
const prefixLimit = 64

// The errors of Go's library, which clients of etcd see.
var (
	errSemicolon    = errors.New("invalid semicolon separator in query")
	errBodyTooLarge = errors.New("http: POST too large")
)

// read takes the parameters from the body, if the method has one and its type is a form,
// then from the query; the body takes precedence. Both are read to the end in spite of
// errors; an error in the body is returned first.
// If the query says that the body is the value as it is (raw), it becomes the parameter value, and all others are the query's.
func (p *params) read(in *input) error {
	var err error
	if in.method == methodPut || in.method == methodPost {
		if in.raw = saysRaw(in.query); !in.raw {
			err = p.readBody(in)
		} else if len(in.body) > in.bodyLimit {
			err = errBodyTooLarge
		}
	}
	if qerr := p.scan(in.query); err == nil {
		err = qerr
	}
	return err
}

// saysRaw reports whether raw is true in a query, which it leaves as it is.
func saysRaw(query []byte) bool {
	if !bytes.Contains(query, []byte("raw=")) {
		return false
	}
	var p params
	_ = p.scan(bytes.Clone(query)) // what is wrong is found when it is read
	f := fields{params: &p}
	return f.bool(paramRaw)
}

const formType = "application/x-www-form-urlencoded"

func (p *params) readBody(in *input) error {
	if string(in.contentType) != formType {
		if len(in.contentType) == 0 {
			return nil
		}
		if _, _, err := mime.ParseMediaType(string(in.contentType)); err != nil {
			return err
		}
		if !isForm(in.contentType) {
			return nil
		}
	}
	if len(in.body) > in.bodyLimit {
		return errBodyTooLarge
	}
	return p.scan(in.body)
}

// isForm reports whether a body of this type is a form.
func isForm(contentType []byte) bool {
	if string(contentType) == formType {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(string(contentType))
	return err == nil && mediaType == formType
}

// scan reads form, name=value pairs between ampersands, decoding in place. It continues
// after an error and returns the one about a semicolon, else the first.
func (p *params) scan(form []byte) error {
	var err error
	for len(form) > 0 {
		var pair []byte
		pair, form, _ = bytes.Cut(form, []byte{'&'})
		if bytes.IndexByte(pair, ';') >= 0 {
			err = errSemicolon
			continue
		}
		if len(pair) == 0 {
			continue
		}
		name, text, _ := bytes.Cut(pair, []byte{'='})
		name, perr := unescape(name)
		if perr == nil {
			text, perr = unescape(text)
		}
		if perr != nil {
			if err == nil {
				err = perr
			}
			continue
		}
		id, ok := paramByName(name)
		switch first := &p[id]; {
		case !ok:
		case !first.given:
			*first = param{text: text, given: true}
		case id == paramPrefix && first.more < prefixLimit:
			first.next = &param{text: text, given: true, next: first.next}
			first.more++
		}
	}
	return err
}

// unescape decodes a name or a value of a form in place: %xx is a byte, and
// '+' is a space.
func unescape(s []byte) ([]byte, error) {
	i := bytes.IndexByte(s, '%')
	if plus := bytes.IndexByte(s, '+'); i < 0 || plus >= 0 && plus < i {
		i = plus
	}
	if i < 0 {
		return s, nil
	}
	// Check before writing, so that an error shows the input unchanged.
	for j := i; j < len(s); j++ {
		if s[j] != '%' {
			continue
		}
		if j+2 >= len(s) || unhex(s[j+1]) > 15 || unhex(s[j+2]) > 15 {
			return nil, url.EscapeError(s[j:min(j+3, len(s))])
		}
		j += 2
	}
	out := s[:i]
	for ; i < len(s); i++ {
		switch s[i] {
		case '%':
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case '+':
			out = append(out, ' ')
		default:
			out = append(out, s[i])
		}
	}
	return out, nil
}
