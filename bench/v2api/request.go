package v2api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Request is one call of /v2/keys. The zero value of a field leaves its
// parameter out.
type Request struct {
	Method string `json:"method"`
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`

	Dir       bool   `json:"dir,omitempty"`
	Recursive bool   `json:"recursive,omitempty"`
	Sorted    bool   `json:"sorted,omitempty"`
	Quorum    bool   `json:"quorum,omitempty"`
	Refresh   bool   `json:"refresh,omitempty"`
	PrevExist string `json:"prevExist,omitempty"` // "true" or "false"
	PrevValue string `json:"prevValue,omitempty"`
	PrevIndex uint64 `json:"prevIndex,omitempty"`
	TTL       int    `json:"ttl,omitempty"`       // in seconds
	MinIndex  uint64 `json:"minIndex,omitempty"`  // copse's own
	RequestID string `json:"requestId,omitempty"` // copse's own
}

// Write reports whether the request may change the tree.
func (r *Request) Write() bool { return r.Method != http.MethodGet }

// Compares reports whether it is a compare-and-swap or a compare-and-delete.
func (r *Request) Compares() bool {
	return (r.PrevIndex > 0 || r.PrevValue != "") && !(r.Method == http.MethodPut && r.PrevExist == "false")
}

// Query has all parameters except the value.
func (r *Request) Query() string {
	var q []string
	flag := func(name string, on bool) {
		if on {
			q = append(q, name+"=true")
		}
	}
	flag("dir", r.Dir)
	flag("recursive", r.Recursive)
	flag("sorted", r.Sorted)
	flag("quorum", r.Quorum)
	flag("refresh", r.Refresh)
	if r.PrevExist != "" {
		q = append(q, "prevExist="+r.PrevExist)
	}
	if r.PrevValue != "" {
		q = append(q, "prevValue="+url.QueryEscape(r.PrevValue))
	}
	if r.PrevIndex != 0 {
		q = append(q, "prevIndex="+strconv.FormatUint(r.PrevIndex, 10))
	}
	if r.TTL != 0 {
		q = append(q, "ttl="+strconv.Itoa(r.TTL))
	}
	if r.MinIndex != 0 {
		q = append(q, "minIndex="+strconv.FormatUint(r.MinIndex, 10))
	}
	if r.RequestID != "" {
		q = append(q, "requestId="+url.QueryEscape(r.RequestID))
	}
	return strings.Join(q, "&")
}

// Form is the body: the value, where the method has a body.
func (r *Request) Form() url.Values {
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		return nil
	}
	form := url.Values{}
	if r.Value != "" {
		form.Set("value", whole(r.Value))
	}
	return form
}

func (r *Request) String() string {
	s := r.Method + " " + r.Key
	if q := r.Query(); q != "" {
		s += "?" + q
	}
	if r.Value != "" {
		s += fmt.Sprintf(" value %.60q", r.Value)
	}
	return s
}
