package page

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium is one process for all tests; each has tabs of its own.
var chromium context.Context

// waitLimit bounds each wait for what a page shows.
const waitLimit = 30 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"),
		chromedp.NoSandbox, // the tests run as root, in a page of our own
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-device-scale-factor", "1"))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	var stop context.CancelFunc
	chromium, stop = chromedp.NewContext(allocator)
	if err := chromedp.Do(chromium); err != nil {
		fmt.Fprintln(os.Stderr, "chromium doesn't start:", err)
		os.Exit(1)
	}
	code := m.Run()
	stop()
	end()
	os.Exit(code)
}

// tab is a page that a user looks at. A method that fails ends the test.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // URL of the page

	mu      sync.Mutex
	trouble []string
	excused []string // parts of console lines that a test provokes
}

// open opens the page of a port in a window of that width.
func open(t *testing.T, address string, width int64, excused ...string) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(chromium)
	b := &tab{t: t, ctx: ctx, base: "http://" + address + "/ui/", excused: excused}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			b.picture("failed-"+strings.ReplaceAll(t.Name(), "/", "-"), os.TempDir())
		}
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, line := range b.trouble {
			t.Error(line)
		}
	})
	b.run(focused, chromedp.EmulateViewport(width, 800), chromedp.Navigate(b.base))
	b.await("the page begins", "document.querySelector('main > *')")
	return b
}

// focused lets a tab believe that it is in front: the tests run side by side, and keys go to
// the page that has the focus.
var focused = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return err
})

// hear collects what must not happen.
func (b *tab) hear(event any) {
	var line string
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || !strings.HasPrefix(b.base, "http://"+u.Host+"/") {
			line = "a request elsewhere: " + e.Request.URL
		}
	case *runtime.EventExceptionThrown:
		line = "an exception: " + fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.Exception)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			for _, a := range e.Args {
				line += fmt.Sprintf("the console: %s ", a.Value)
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			line = fmt.Sprintf("the console: %s (%s)", e.Entry.Text, e.Entry.URL)
		}
	}
	if line == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, part := range b.excused {
		if strings.Contains(line, part) {
			return
		}
	}
	b.trouble = append(b.trouble, line)
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*waitLimit)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of an expression.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, waitLimit)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v, of %s", err, expression)
	}
	return out
}

// do runs a statement.
func (b *tab) do(statement string) {
	b.t.Helper()
	eval[bool](b, "(() => { "+statement+"; return true; })()")
}

// await waits until an expression is true.
func (b *tab) await(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(waitLimit); !eval[bool](b, "Boolean("+expression+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			text := eval[string](b, `document.querySelector("dialog[open]")?.innerText ?? document.body.innerText`)
			b.t.Fatalf("%s; the page shows:\n%.3000s", what, text)
		}
	}
}

// sees waits until the page shows a text.
func (b *tab) sees(text string) {
	b.t.Helper()
	b.await("the page should show "+text, fmt.Sprintf("(document.querySelector('dialog[open]') ?? document.body).innerText.includes(%q)", text))
}

func (b *tab) goTo(hash string) {
	b.t.Helper()
	b.do(fmt.Sprintf("location.hash = %q", hash))
}

// press clicks on the button or link of that name.
func (b *tab) press(name string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...(document.querySelector('dialog[open]') ?? document.body).querySelectorAll('button, a, [role=tab]')].find((e) => e.textContent.trim() === %q && !e.disabled && e.offsetParent !== null)`, name)
	b.await("there should be a button "+name, "(() => { const e = "+find+"; e?.click(); return e; })()")
}

// write puts a text into an input as a user does.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	find := fmt.Sprintf("document.querySelector(%q)", selector)
	b.await("there should be "+selector, find)
	b.do(find + ".focus(); " + find + ".select()")
	b.run(chromedp.KeyEvent(text))
}

// keys presses keys, wherever the focus is. As in a browser, and not as chromedp.KeyEvent
// does it, a key whose keydown the page takes for itself writes nothing.
func (b *tab) keys(list ...string) {
	b.t.Helper()
	for _, r := range strings.Join(list, "") {
		press := kb.Encode(r)
		if len(press) == 3 { // down, character, up
			press[0].Text = press[1].Text
			press = slices.Delete(press, 1, 2)
		}
		b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			for _, p := range press {
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, *p); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// scheme sets what the system prefers: light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	}))
}

// picture takes a picture of the window.
func (b *tab) picture(name, dir string) {
	ctx, cancel := context.WithTimeout(b.ctx, waitLimit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(dir+"/"+name+".png", png, 0o644)
	}
	if err != nil {
		b.t.Errorf("picture %s: %v", name, err)
	}
}

// The keys that the tests press.
var (
	down, right, enter, tabKey, escape, endKey = kb.ArrowDown, kb.ArrowRight, kb.Enter, kb.Tab, kb.Escape, kb.End
)
