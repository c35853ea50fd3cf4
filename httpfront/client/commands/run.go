package commands

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// Exit codes, which are etcdctl's.
const (
	exitUsage     = 1 // the line is wrong, or the server refuses something about members or users
	exitNoServer  = 2
	exitRefused   = 4 // by the server, about a key
	exitUnhealthy = 5
)

// Streams are where a command reads and prints. A writer around a file has a method Raw that
// returns it: terminals are known by it, and commands that are run print there.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // as os.Environ gives it
}

// tool is one command on its way.
type tool struct {
	Streams
	line   *cli.Command
	client *v2.Client
	member bool // what goes wrong is about members or users, not keys
	// password is a new one that was asked for.
	password string
	// killDelay is how long the command of an exec-watch has to end.
	killDelay time.Duration
}

// exit is an error with its code. Its text is printed as it is; "" is none.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

func usage(format string, args ...any) error { return &exit{exitUsage, fmt.Sprintf(format, args...)} }

// Run carries out a command, and returns the exit code. security is for https.
func Run(ctx context.Context, line *cli.Command, security *tls.Config, s Streams) int {
	t := &tool{Streams: s, line: line, killDelay: killDelay}
	err := t.connect(ctx, security)
	if err == nil {
		defer t.client.Close()
		err = t.run(ctx)
	}
	return t.report(err)
}

// connect makes the client, and finds the members.
func (t *tool) connect(ctx context.Context, security *tls.Config) error {
	g := &t.line.Global
	o := v2.Options{Endpoints: strings.Split(g.Endpoints, ","), TLS: security, Timeout: g.Timeout}
	var err error
	if o.User, o.Password, err = t.credentials(ctx); err != nil {
		return err
	}
	if g.Debug {
		o.Debug = func(line string) { fmt.Fprintln(t.Err, line) }
	}
	if t.client, err = v2.New(o); err != nil {
		return usage("%s: %v: check --endpoints, COPSE_ENDPOINTS and ETCDCTL_ENDPOINTS", cli.Quote(g.Endpoints), err)
	}
	if _, own := t.line.Args.(*cli.ClusterHealth); g.NoSync || own { // which says so itself
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, g.TotalTimeout)
	defer cancel()
	if err := t.client.Sync(limited); err != nil {
		return t.unreachable(exitNoServer, err)
	}
	return nil
}

// run calls the command's function.
func (t *tool) run(ctx context.Context) error {
	switch args := t.line.Args.(type) { // what has no end of its own
	case *cli.Watch:
		return t.watch(ctx, args)
	case *cli.ExecWatch:
		return t.execWatch(ctx, args)
	case *cli.Lock:
		return t.lock(ctx, args)
	case *cli.ClusterHealth:
		return t.clusterHealth(ctx, args)
	case *cli.Top:
		return t.top(ctx, args)
	case *cli.Name:
		if err := t.askNew(ctx, args); err != nil { // who types has the time that it takes
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, t.line.TotalTimeout)
	defer cancel()
	about, _, _ := strings.Cut(t.line.Name, " ")
	t.member = slices.Contains([]string{"member", "user", "role", "auth", "status", "history"}, about)
	return t.runOnce(ctx)
}

// runOnce carries out a command that ends by itself.
func (t *tool) runOnce(ctx context.Context) error {
	switch args := t.line.Args.(type) {
	case *cli.Get:
		return t.get(ctx, args)
	case *cli.Set:
		return t.write(ctx, args.Value, v2.Change{Method: http.MethodPut, Key: args.Key, TTL: args.TTL, PrevValue: args.SwapWithValue, PrevIndex: args.SwapWithIndex})
	case *cli.Make:
		return t.make(ctx, args)
	case *cli.Update:
		return t.write(ctx, args.Value, v2.Change{Method: http.MethodPut, Key: args.Key, TTL: args.TTL, PrevExist: new(true)})
	case *cli.CAS:
		return t.cas(ctx, args)
	case *cli.Directory:
		exist := map[string]*bool{"mkdir": new(false), "setdir": nil, "updatedir": new(true)}
		return t.dir(ctx, v2.Change{Key: args.Key, TTL: args.TTL, PrevExist: exist[t.line.Name]})
	case *cli.Remove:
		return t.remove(ctx, v2.Change{Key: args.Key, Dir: args.Dir, Recursive: args.Recursive, PrevValue: args.WithValue, PrevIndex: args.WithIndex})
	case *cli.RemoveDir:
		return t.remove(ctx, v2.Change{Key: args.Key, Dir: true})
	case *cli.Copy, *cli.Txn:
		return t.several(ctx, args)
	case *cli.List:
		return t.list(ctx, args)
	case *cli.None:
		return t.without(ctx)
	case *cli.Name:
		return t.named(ctx, args.Name)
	case *cli.Roles:
		return t.userRoles(ctx, args)
	case *cli.Permission:
		return t.rolePermit(ctx, args)
	case *cli.MemberAdd:
		return t.memberAdd(ctx, args)
	case *cli.MemberRemove:
		return t.memberRemove(ctx, args)
	case *cli.MemberUpdate:
		return t.memberUpdate(ctx, args)
	}
	panic(t.line.Name + " is carried out nowhere")
}

// report prints what went wrong, and returns the exit code.
func (t *tool) report(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exit](err); ok {
		if e.text != "" {
			fmt.Fprintln(t.Err, e.text)
		}
		return e.code
	}
	if none, ok := errors.AsType[*v2.Unreachable](err); ok {
		return t.report(t.unreachable(map[bool]int{true: exitUsage, false: exitRefused}[t.member], none))
	}
	if t.member {
		fmt.Fprintln(t.Err, err)
		return exitUsage
	}
	fmt.Fprintln(t.Err, "Error: ", err)
	t.hint(err)
	return exitRefused
}

// unreachable says which servers were asked, and what to do.
func (t *tool) unreachable(code int, err error) error {
	text := fmt.Sprintf("Error:  %v", err)
	if none, ok := errors.AsType[*v2.Unreachable](err); ok {
		text += "\nAsked " + strings.Join(none.Asked, ", ")
		if !none.Sent {
			text += "; --endpoints or COPSE_ENDPOINTS names others"
		}
		text += "."
	}
	return &exit{code, text}
}

// hint says on a terminal what can be done about an error.
func (t *tool) hint(err error) {
	hints := map[int]string{
		v2.CodeNotFound: "copse ls shows what there is.",
		v2.CodeCompare:  "It has been changed meanwhile: read it again.",
		v2.CodeExists:   "copse update changes it, copse set either way.",
		102:             "It is a directory: copse ls lists it, copse rm -r removes it with what is below.",
		107:             "The root can't be changed; name a key below it.",
		108:             "It isn't empty: copse rm -r removes it with what is below.",
		110:             "Give a user with -u name:password, or --password-file.",
		v2.CodeOutdated: "The server no longer has these events: read the keys again, and watch from now on.",
	}
	if text := hints[v2.Code(err)]; text != "" && isTerminal(t.Err) {
		fmt.Fprintln(t.Err, text)
	}
}

// credentials are the user's name and password, if there is one.
func (t *tool) credentials(ctx context.Context) (user, password string, err error) {
	g := &t.line.Global
	user, password, given := strings.Cut(g.Username, ":")
	switch {
	case given && g.PasswordFile != "":
		return "", "", usage("the password is given twice, by --username and by --password-file")
	case g.PasswordFile != "":
		text, err := os.ReadFile(g.PasswordFile)
		if err != nil {
			return "", "", usage("%v", err)
		}
		if user == "" {
			user = "root"
		}
		return user, strings.TrimRight(string(text), "\r\n"), nil
	case user == "" || given:
		return user, password, nil
	}
	password, err = t.ask(ctx, "Password: ")
	return user, password, err
}
