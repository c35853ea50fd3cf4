package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"copse/config/cli"
)

// perform carries out a line against a server, whose URL follows --endpoints.
func perform(t *testing.T, stdin, endpoints, line string) (code int, stdout, stderr string) {
	t.Helper()
	args := append([]string{"--no-sync", "--timeout=5s", "--endpoints=" + endpoints}, strings.Fields(line)...)
	command, err := cli.Parse(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = Run(t.Context(), command, nil, Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

// answers serves, and counts the requests.
func answers(t *testing.T, handler http.HandlerFunc) (endpoint string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// breaksOff ends a connection without an answer.
func breaksOff(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// done answers a change.
func done(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, `{"action":"set","node":{"key":"/k","value":%q,"createdIndex":3,"modifiedIndex":3}}`, r.FormValue("value"))
}

func TestWhoWasAskedIsNamed(t *testing.T) {
	hangs, _ := answers(t, breaksOff)
	good, asked := answers(t, done)
	code, _, stderr := perform(t, "", hangs+","+good, "set /k v")
	if code != exitRefused || asked.Load() != 1 || !strings.HasPrefix(stderr, "Error:  "+hangs+" did not answer; the write may have been made; ") ||
		!strings.HasSuffix(stderr, "\nAsked "+hangs+".\n") {
		t.Errorf("exit code %d, %d requests: %s", code, asked.Load(), stderr)
	}
	if code, _, stderr = perform(t, "", hangs+","+good, "get /k"); code != 0 || stderr != "" {
		t.Errorf("a read isn't asked of the next: exit code %d: %s", code, stderr)
	}
}

func TestPasswordsOfEndpointsAreNotPrinted(t *testing.T) {
	server, _ := answers(t, breaksOff)
	withPassword := strings.Replace(server, "//", "//root:s3cret@", 1)
	for endpoints, lines := range map[string][]string{
		withPassword: {"get /k", "set /k v", "--debug ls /", "--debug set /k v", "member add n http://root:s3cret@h:x",
			"member update n http://root:s3cret,x@h", "top --metrics http://root:s3cret@h:x", "cluster-health"},
		"http://root:s3cret,x@h:1": {"get /k"}, "root:s3cret@h:1": {"get /k"},
	} {
		for _, line := range lines {
			code, stdout, stderr := perform(t, "", endpoints, line)
			if code == 0 || strings.Contains(stdout+stderr, "s3cret") || stderr == "" {
				t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
			}
		}
	}
}

func TestThePasswordIsNotSentToOperationsPorts(t *testing.T) {
	server, _ := answers(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	port, asked := answers(t, func(_ http.ResponseWriter, r *http.Request) {
		if sent := r.Header.Get("Authorization"); sent != "" {
			t.Errorf("%s gets %q", r.URL, sent)
		}
	})
	if code, _, stderr := perform(t, "", server, "-u root:s3cret top --count=1 --interval=100ms --metrics="+port); code != 0 || asked.Load() != 2 {
		t.Errorf("exit code %d, %d requests: %s", code, asked.Load(), stderr)
	}
}

func TestAnEmptyInputIsNoValue(t *testing.T) {
	server, asked := answers(t, done)
	for _, line := range []string{"set /k", "mk /k", "mk --in-order /k", "update /k", "cas /k old", "set --base64 /k"} {
		if code, stdout, stderr := perform(t, "", server, line); code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "value required") {
			t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests were made", asked.Load())
	}
	for _, line := range []string{"set /k --file -", "set /k --file=/dev/null"} {
		if code, _, stderr := perform(t, "", server, line); code != 0 {
			t.Errorf("%s: exit code %d: %s", line, code, stderr)
		}
	}
}

// An interrupt ends the question for a password, and the terminal is left as it was.
func TestAnInterruptEndsTheQuestionForAPassword(t *testing.T) {
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	command, err := cli.Parse([]string{"-u", "root", "get", "/k"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- Run(ctx, command, nil, Streams{In: in, Out: in, Err: &errs}) }()
	if _, err := io.ReadFull(person, make([]byte, len("Password: "))); err != nil {
		t.Fatal(err)
	}
	interrupt()
	if got := <-code; got != exitUsage || errs.String() != "interrupted\n" {
		t.Errorf("exit code %d: %s", got, &errs)
	}
	if now, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err != nil || now.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal doesn't show what is typed: %v", err)
	}
}

// An index that isn't known is not 0.
func TestStatusOfAMemberThatDoesNotAnswer(t *testing.T) {
	endpoint, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/members" {
			breaksOff(w, r)
		}
		fmt.Fprint(w, `{"members":[{"id":"a1","name":"m1","peerURLs":[],"clientURLs":["http://`+r.Host+`"]},{"id":"b2","name":"","peerURLs":[],"clientURLs":[]}]}`)
	})
	code, out, _ := perform(t, "", endpoint, "status")
	want := "a1  m1    unreachable  -        -      -     " + endpoint + "  -\nb2  -     unstarted    -        -      -     -" + strings.Repeat(" ", len(endpoint)) + " -\n"
	if _, lines, _ := strings.Cut(out, "\n"); code != exitUnhealthy || lines != want {
		t.Errorf("%d, %q, want %q", code, lines, want)
	}
}

// The default port of a host is one server's.
func TestTopWithSeveralMembersOnOneHost(t *testing.T) {
	endpoint, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"members":[{"id":"a1","name":"m1","clientURLs":["http://h:12379"]},{"id":"b2","name":"m2","clientURLs":["http://h:22379"]}]}`)
	})
	code, out, errs := perform(t, "", endpoint, "top")
	if want := "several members are on h: name their operations ports with --metrics\n"; code != exitUsage || out != "" || errs != want {
		t.Errorf("%d, %q, %q, want %q", code, out, errs, want)
	}
}

// etcd takes any URL; somebody who forgot the s shall hear of it.
func TestAPlainMemberAmongSecureOnes(t *testing.T) {
	endpoint, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"id":"c3"}`)
			return
		}
		fmt.Fprint(w, `{"members":[{"id":"a1","name":"m1","peerURLs":["https://h:1"]},{"id":"b2","peerURLs":["https://h:2"]},{"id":"c3","peerURLs":["http://h:3"]}]}`)
	})
	code, out, errs := perform(t, "", endpoint, "member add m3 http://h:3")
	if code != 0 || !strings.Contains(errs, "copse member update c3 URL") || !strings.Contains(out, `"m1=https://h:1,m3=http://h:3"`) {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	if _, _, errs = perform(t, "", endpoint, "member add m3 https://h:3"); errs != "" {
		t.Errorf("https: %q", errs)
	}
}
