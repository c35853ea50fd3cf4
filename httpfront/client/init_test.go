package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// initAuth is copse auth init against target. Whatever comes of it, the password is not
// shown.
func initAuth(t *testing.T, target, password string) (code int, stdout, stderr string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = InitAuth(t.Context(), Server{URL: u}, Password{Environ: []string{"A=b", RootPassword + "=" + password}}, &out, &errs)
	if password != "" && strings.Contains(out.String()+errs.String(), password) {
		t.Errorf("the password is shown: %q %q", &out, &errs)
	}
	return code, out.String(), errs.String()
}

func TestInitSaysWhatTheServerSays(t *testing.T) {
	var status int
	var says, got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + string(body)
		w.WriteHeader(status)
		fmt.Fprintln(w, says)
	}))
	defer server.Close()
	for _, c := range []struct {
		status int
		says   string
		code   int
		want   string
	}{
		{200, "", 0, "auth is on: " + server.URL + ": root has its password, and guest no permissions\n"},
		{409, `{"message":"auth: User root already exists."}`, 1, "failed: " + server.URL + ": auth: User root already exists.\n"},
		{401, `{"message":"Insufficient credentials"}`, 1, "failed: " + server.URL + ": auth is already enabled\n"},
		{404, "404 page\nnot found", 1, "failed: " + server.URL + ": 404 Not Found: \"404 page\\nnot found\"\n"},
		{302, "", 1, "failed: " + server.URL + ": 302 Found: \"\"\n"},
	} {
		status, says = c.status, c.says
		code, stdout, stderr := initAuth(t, server.URL, `s"e\cret`)
		if want := `POST /v2/copse/auth/init {"password":"s\"e\\cret"}`; code != c.code || stdout+stderr != c.want || (code == 0) != (stderr == "") || got != want {
			t.Errorf("%d: exit code %d, %q %q, sent %s", c.status, code, stdout, stderr, got)
		}
	}
}

// A server that doesn't prove who it is gets no password, on loopback neither.
func TestInitVerifiesCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a stranger was asked") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	if code, _, stderr := initAuth(t, server.URL, "secret"); code != 1 || !strings.Contains(stderr, "certificate") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestNoPasswordCrossesANetworkUnencrypted(t *testing.T) {
	for address, may := range map[string]bool{
		"http://127.0.0.1:2379": true, "http://localhost:2379": true, "http://[::1]:2379": true,
		"https://192.0.2.1:2379": true, "https://copse:2379": true,
		"http://192.0.2.1:2379": false, "http://copse:2379": false, "http://[2001:db8::1]:2379": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Server{URL: u}).MayHearSecrets(); (err == nil) != may {
			t.Errorf("%s: %v", address, err)
		}
	}
	code, stdout, stderr := initAuth(t, "http://user:hidden@192.0.2.1:2379", "secret")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "not tried: http://user:xxxxx@192.0.2.1:2379: ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, %q %q", code, stdout, stderr)
	}
}

func TestWhereThePasswordComesFrom(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	variable := []string{RootPassword + "=from the variable", RootPassword + "_FILE=x"}
	for name, c := range map[string]struct {
		from      Password
		want, err string
	}{
		"file first":      {Password{File: file("a", " pa ss \r\n\n"), Environ: variable}, " pa ss ", ""},
		"then variable":   {Password{Environ: variable}, "from the variable", ""},
		"empty file":      {Password{File: file("b", "\n"), Environ: variable}, "", "the password from " + dir + "/b is empty"},
		"no file":         {Password{File: dir + "/none", Environ: variable}, "", "no such file"},
		"not UTF-8":       {Password{File: file("c", "\xff")}, "", "isn't UTF-8"},
		"not UTF-8 in it": {Password{Environ: []string{RootPassword + "=\xff"}}, "", "from COPSE_ROOT_PASSWORD isn't UTF-8"},
	} {
		got, err := c.from.Read(context.Background())
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
