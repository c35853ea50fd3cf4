package etcddir

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The kinds of entries.
const (
	normalEntry = iota
	changeEntry // of the members
	entryEnd
)

// entry is one entry of raft's log.
type entry struct {
	kind, term, index uint64
	data              []byte
}

func parseEntry(b []byte) (e entry, err error) {
	err = eachField(b, func(f *field) bool {
		switch {
		case f.is(1, varint):
			e.kind = f.value
		case f.is(2, varint):
			e.term = f.value
		case f.is(3, varint):
			e.index = f.value
		case f.is(4, text):
			e.data = f.data
		default:
			return false
		}
		return true
	})
	if err == nil && (e.kind >= entryEnd || e.index == 0 || e.kind == changeEntry && len(e.data) == 0) {
		err = errForm
	}
	return e, err
}

// request is what a normal entry asks of v2's store.
type request struct {
	method, path, value     string
	dir, recursive, refresh bool

	prevValue string
	prevIndex uint64
	prevExist *bool // nil: no condition

	expires int64 // Unix nanoseconds; 0: never
	cut     int64 // of a SYNC, Unix nanoseconds: what is due by then expires
}

var methods = []string{"PUT", "POST", "DELETE", "QGET", "SYNC", "GET"}

// parseRequest reads the data of a normal entry: a v2 request as it is, as 2.x, 3.4 and
// 3.5 write it, or one in the envelope that all requests of v3 have. ok is false if it
// doesn't concern v2.
func parseRequest(b []byte) (r request, ok bool, err error) {
	if r, err = parsePlain(b); err == nil {
		return r, true, nil
	}
	return parseEnvelope(b)
}

func parsePlain(b []byte) (r request, err error) {
	err = eachField(b, r.take)
	if err == nil && !slices.Contains(methods, r.method) {
		err = errForm
	}
	return r, err
}

// take reads one field of a v2 request.
func (r *request) take(f *field) bool {
	kind, on := varint, f.value != 0
	switch f.number {
	case 2:
		r.method, kind = string(f.data), text
	case 3:
		r.path, kind = string(f.data), text
	case 4:
		r.value, kind = string(f.data), text
	case 5:
		r.dir = on
	case 6:
		r.prevValue, kind = string(f.data), text
	case 7:
		r.prevIndex = f.value
	case 8:
		r.prevExist = &on
	case 9:
		r.expires = int64(f.value)
	case 12:
		r.recursive = on
	case 15:
		r.cut = int64(f.value)
	case 17:
		r.refresh = on
	case 1, 10, 11, 13, 14, 16: // id, wait, since, sorted, quorum, stream
	default:
		return false
	}
	return f.kind == kind
}

// The fields of the envelope that concern v2.
const (
	plainField   = 2
	versionField = 1300 // the cluster's version: 1 version
	memberField  = 1301 // a member's attributes: 1 id, 2 attributes (1 name, 2 client URLs)
)

func parseEnvelope(b []byte) (r request, ok bool, err error) {
	if len(b) == 0 {
		return r, false, errForm
	}
	err = eachField(b, func(f *field) (sound bool) {
		var err error
		switch {
		case f.is(plainField, text):
			r, err = parsePlain(f.data)
		case f.is(versionField, text):
			r = request{method: "PUT", path: versionKey}
			err = eachField(f.data, func(f *field) bool {
				r.value = string(f.data)
				return f.is(1, text)
			})
		case f.is(memberField, text):
			r, err = parsePublication(f.data)
		default:
			return true
		}
		ok = true
		return err == nil
	})
	return r, ok, err
}

// parsePublication reads what a member of 3.5 writes to publish itself, and returns it
// as the request that earlier ones make of it.
func parsePublication(b []byte) (request, error) {
	var id uint64
	var a attributes
	err := eachField(b, func(f *field) bool {
		if id = max(id, f.value); f.is(1, varint) {
			return true
		}
		return f.is(2, text) && eachField(f.data, func(f *field) bool {
			switch {
			case f.is(1, text):
				a.Name = string(f.data)
			case f.is(2, text):
				a.ClientURLs = append(a.ClientURLs, string(f.data))
			default:
				return false
			}
			return true
		}) == nil
	})
	value, _ := json.Marshal(a) // texts can be marshalled
	return request{method: "PUT", path: memberKey(id) + attributesName, value: string(value)}, err
}

// setsVersion returns the cluster's version, if that is what the request sets.
func (r *request) setsVersion() (version string, ok bool) {
	return r.value, r.method == "PUT" && r.path == versionKey
}

// The kinds of changes of the members.
const (
	addMember = iota
	removeMember
	updateMember
	addLearner
	changeEnd
)

// change is a change of the members.
type change struct {
	kind, id uint64
	context  []byte // JSON
}

func parseChange(b []byte) (c change, err error) {
	err = eachField(b, func(f *field) bool {
		switch {
		case f.is(1, varint):
		case f.is(2, varint):
			c.kind = f.value
		case f.is(3, varint):
			c.id = f.value
		case f.is(4, text):
			c.context = f.data
		default:
			return false
		}
		return true
	})
	if err == nil && c.kind >= changeEnd {
		err = errForm
	}
	return c, err
}

// atLeast reports whether a version of etcd is wantMajor.wantMinor or later.
func atLeast(version string, wantMajor, wantMinor int) bool {
	var major, minor int
	n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return n == 2 && (major > wantMajor || major == wantMajor && minor >= wantMinor)
}
