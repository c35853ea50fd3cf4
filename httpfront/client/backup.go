package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"copse/statemachine/portable"

	"golang.org/x/sys/unix"
)

// Backup is what copse backup asks for.
type Backup struct {
	Server   Server
	Password Password // of root, if there is one: it isn't asked for
	Stale    bool
	Quiet    bool // print errors only
}

// SaveBackup saves a server's tree to a file, or to stdout if name is "-". It returns the
// exit code: 0 if the file is whole and was verified, 1 if not, 2 if a password would cross a
// network unencrypted.
func SaveBackup(ctx context.Context, b *Backup, name string, stdout, stderr io.Writer) int {
	body, code, err := b.open(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "failed: %s: %v\n", b.Server.URL.Redacted(), err)
		return code
	}
	defer body.Close()
	var done portable.Header
	from := newProgress(body, b.Quiet, stderr)
	if name == "-" {
		done, err = check(io.TeeReader(from, stdout))
		stdout = io.Discard // it is the file's
	} else {
		done, err = saveFile(name, from)
	}
	from.end()
	if err != nil {
		fmt.Fprintf(stderr, "failed: %s: %v\n", b.Server.URL.Redacted(), err)
		return 1
	}
	if !b.Quiet {
		fmt.Fprintf(stdout, "saved %s: %d nodes of cluster %x at index %d, %d bytes, verified\n", name, done.Nodes, done.ClusterID, done.Index, from.bytes)
	}
	return 0
}

// open begins the answer of the server, whose URL it completes.
func (b *Backup) open(ctx context.Context) (body io.ReadCloser, code int, err error) {
	if strings.Trim(b.Server.URL.Path, "/") == "" {
		b.Server.URL = b.Server.URL.JoinPath("/v2/copse/backup")
	}
	if b.Stale {
		b.Server.URL.RawQuery = url.Values{"stale": {"true"}}.Encode()
	}
	password := ""
	if b.Password.Given() {
		if err = b.Server.MayHearSecrets(); err == nil {
			password, err = b.Password.Read(ctx)
		}
		if err != nil {
			return nil, 2, err
		}
	}
	security, err := b.Server.Security()
	if err != nil {
		return nil, 1, err
	}
	body, err = b.Server.fetch(ctx, password, security)
	return body, 1, err
}

// WriteFile makes a file that is there whole or not at all, and replaces an older one. Only
// this user may read it.
func WriteFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil { // as it is on the disk now
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			_, err = check(f)
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func saveFile(name string, from io.Reader) (h portable.Header, err error) {
	err = WriteFile(name, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
	if err != nil {
		return h, err
	}
	f, err := os.Open(name)
	if err != nil {
		return h, err
	}
	defer f.Close()
	r, err := portable.NewReader(f)
	if err != nil {
		return h, err
	}
	return r.Header(), nil
}

// check reads a file to its end, as a restore does.
func check(from io.Reader) (portable.Header, error) {
	r, err := portable.NewReader(from)
	if err != nil {
		return portable.Header{}, err
	}
	for {
		if _, err := r.Next(); err == io.EOF {
			return r.Header(), nil
		} else if err != nil {
			return r.Header(), err
		}
	}
}

// fetch begins to read an answer of any length. It is limited by ctx only.
func (s *Server) fetch(ctx context.Context, password string, security *tls.Config) (io.ReadCloser, error) {
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: security, DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: initTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL.String(), nil)
	if err != nil {
		return nil, err
	}
	if password != "" {
		request.SetBasicAuth("root", password)
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the caller prints the URL
		}
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, answerLimit))
		_ = response.Body.Close()
		return nil, refusal(response, text)
	}
	return response.Body, nil
}

// refusal is what an answer without success says, for people.
func refusal(response *http.Response, body []byte) error {
	var answer struct{ Message, Cause string }
	said := ""
	if json.Unmarshal(body, &answer) == nil {
		said = strings.TrimSpace(answer.Message + " " + answer.Cause)
	}
	if text := strings.TrimSpace(string(body)); said == "" && text != "" {
		said = fmt.Sprintf("%.200q", text)
	}
	if said != "" {
		said = ": " + said
	}
	if response.StatusCode == http.StatusUnauthorized {
		said += "; give root's password by --password-file or " + RootPassword
	}
	return errors.New(response.Status + said)
}

// progress counts what is read, and shows it on a terminal.
type progress struct {
	from  io.Reader
	to    io.Writer // nil: nothing is shown
	began time.Time
	shown time.Time
	bytes int64
}

const progressPause = 500 * time.Millisecond

func newProgress(from io.Reader, quiet bool, to io.Writer) *progress {
	p := &progress{from: from, began: time.Now(), shown: time.Now()}
	if f, ok := to.(*os.File); ok && !quiet {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			p.to = to
		}
	}
	return p
}

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.bytes += int64(n)
	if now := time.Now(); p.to != nil && now.Sub(p.shown) > progressPause {
		p.shown = now
		fmt.Fprintf(p.to, "\r%d MiB, %.0f s", p.bytes>>20, now.Sub(p.began).Seconds())
	}
	return n, err
}

// end wipes what was shown.
func (p *progress) end() {
	if p.to != nil && p.shown.After(p.began) {
		fmt.Fprint(p.to, "\r\033[K")
	}
}
