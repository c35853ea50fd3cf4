package compat

import (
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A script is a transcript file: steps, with an empty line between them.
//
//	# A comment belongs to the step below it.
//	PUT /v2/keys/message?noValueOnSuccess=true
//	X-Some-Header: of the request
//	| value=Hello
//	----
//	201 Created
//	Content-Type: application/json
//	| {"action":"set"}⏎
//	---- etcd35
//	etcd 3.5's answer, if different
//	---- copse reason
//	copse's answer, if different, and the name of the difference
//	---- copse4 reason
//	the answer of copse with four shards, if different again, in etcd's indexes of
//	the same rank; see ranks_test.go
//
// The first line of a step is a request or one of these, where NAME is a
// watch:
//
//	watch NAME GET TARGET  send, and show the head, which arrives at once
//	event NAME             the next event of the watch, as one chunk
//	rest NAME              the next event, and that the answer ends after it
//	quiet NAME             that no event arrives, or the next one
//	pipeline NAME GET TARGET  send another request on the watch's connection
//	hangup NAME            close our half of the connection; show the reaction
//	cancel NAME            close the watch
//	repeat N METHOD TARGET N times the same request; show the last answer
//	until CODE METHOD TARGET  repeat until the status is CODE
//	sized N METHOD TARGET  with a form of N bytes, which is one value
//	raw                    send the body as it is, with CR LF for each ⏎, and
//	                       show all bytes of the answer
//	stats                  the counts since the last time
//	join                   start a second member, at NEWCOMER-HOST, which has
//	                       been added
//	restart                stop the server gracefully, start it again
//
// A file that begins with "#! without KIND:" and a reason is not played against
// that kind; there may be several kinds, separated by spaces, including copse4.
// Above a step, only that step is left out.
//
// ADDED-1 is the id of the first member that the script has added.
//
// The header "As: USER:PASSWORD" sends these as a Basic Authorization. In every
// script the user root, if there is one, has the password "pw".
type script struct {
	path    string
	without string // the kinds of server that can't play it
	steps   []step
}

type step struct {
	comment []string
	without string // the kinds of server that it is not for
	line    int    // in the file
	command string
	request []string // header and body lines
	answers []answer // the reference's first
}

// An answer is the answer of one kind of server to a step.
type answer struct {
	who   string   // "" for the reference, or a peer.Kind, with a reason for copse
	lines []string // normalised
}

const (
	answerMark  = "----"
	withoutMark = "#! without "
)

func readScript(path string) (*script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sc := &script{path: path}
	if first, found := strings.CutPrefix(string(text), withoutMark); found {
		sc.without, _, _ = strings.Cut(first, ":")
	}
	var st *step
	for i, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if st == nil {
			st = &step{}
		}
		switch {
		case line == "":
			if st.command != "" {
				sc.steps = append(sc.steps, *st)
				st = nil
			} else if st.comment != nil {
				st.comment = append(st.comment, "")
			}
		case st.command == "" && strings.HasPrefix(line, "#"):
			if mark, found := strings.CutPrefix(line, withoutMark); found && i > 0 {
				st.without, _, _ = strings.Cut(mark, ":")
			}
			st.comment = append(st.comment, line)
		case st.command == "":
			st.command, st.line = line, i+1
		case strings.HasPrefix(line, answerMark):
			who := strings.TrimSpace(strings.TrimPrefix(line, answerMark))
			st.answers = append(st.answers, answer{who: who})
		case st.answers == nil:
			st.request = append(st.request, line)
		default:
			a := &st.answers[len(st.answers)-1]
			a.lines = append(a.lines, line)
		}
	}
	if st == nil || st.command == "" {
		return sc, nil
	}
	sc.steps = append(sc.steps, *st)
	return sc, nil
}

func (sc *script) write() error {
	var b strings.Builder
	for i, st := range sc.steps {
		if i > 0 {
			b.WriteString("\n")
		}
		for _, line := range slices.Concat(st.comment, []string{st.command}, st.request) {
			b.WriteString(line + "\n")
		}
		for _, a := range st.answers {
			b.WriteString(strings.TrimSpace(answerMark+" "+a.who) + "\n")
			for _, line := range a.lines {
				b.WriteString(line + "\n")
			}
		}
	}
	return os.WriteFile(sc.path, []byte(b.String()), 0o644)
}

// answer returns the one that is recorded for the first of these servers that has
// one, or else the reference's.
func (st *step) answer(kinds ...string) *answer {
	for _, kind := range append(kinds, "") {
		i := slices.IndexFunc(st.answers, func(a answer) bool {
			who, _, _ := strings.Cut(a.who, " ")
			return who == kind
		})
		if i >= 0 {
			return &st.answers[i]
		}
	}
	return nil
}

// parseRequest reads "METHOD TARGET" and a step's header and body lines.
func parseRequest(call string, lines []string) (r request, err error) {
	var found bool
	if r.method, r.target, found = strings.Cut(call, " "); !found {
		return r, fmt.Errorf("%q is not a request", call)
	}
	body := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, strings.TrimSpace(bodyMark)) })
	if body < 0 {
		body = len(lines)
	}
	for _, line := range lines[:body] {
		r.header = append(r.header, credentials(line))
	}
	r.body, err = bodyText(lines[body:])
	return r, err
}

// credentials writes the line "As: USER:PASSWORD" as it is sent; all others stay.
func credentials(line string) string {
	if who, found := strings.CutPrefix(line, "As: "); found {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(who))
	}
	return line
}
