package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// row is an expression for the row of the tree with that name.
func row(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('.row .name')].find((e) => e.textContent === %q)`, name)
}

// node opens a node and waits until it is shown.
func (b *tab) node(key string) {
	b.t.Helper()
	b.goTo("#/keys" + key)
	b.await(key+" should be shown", fmt.Sprintf(`document.querySelector('.detail h1')?.textContent === %q`, key))
}

// closes waits until there is no dialog.
func (b *tab) closes() {
	b.t.Helper()
	b.await("the dialog closes", `!document.querySelector('dialog')`)
}

func TestKeysAreShownAndChanged(t *testing.T) {
	t.Parallel()
	m := startMembers(t, 1, "--ui=write")[0]
	m.sample(t)
	b := open(t, m.operations, 1200, "status of 412", "status of 404")
	click := func(name string) {
		t.Helper()
		b.await("there should be a row "+name, "(() => { const e = "+row(name)+"; e?.click(); return e; })()")
	}
	// The tree is sorted, without what is hidden.
	b.await("the tree", `document.querySelectorAll('.row').length >= 5`)
	if got := eval[string](b, `[...document.querySelectorAll('.row .name')].map((e) => e.textContent).join(" ")`); got != "config/ feature/ locks/ message services/" {
		t.Errorf("the tree shows %s", got)
	}
	b.sees("may write")

	// Values.
	click("message")
	b.sees("Hello world")
	b.press("Hex")
	b.sees("48 65 6c 6c 6f 20 77 6f  72"[:17])
	b.node("/config/web/limits")
	b.sees("\"body_bytes\": 12345678901234567890,\n")
	b.press("Text")
	b.sees(`"body_bytes":12345678901234567890`)
	b.node("/config/web/features")
	b.press("JSON")
	b.sees("This isn't JSON")
	b.sees("Unexpected token '}'")
	b.node("/locks/deploy")
	b.await("the time to live counts down", `/in 4 min \d+ s/.test(document.body.innerText)`)
	left := `Number(document.querySelector('.facts').innerText.match(/in 4 min (\d+) s/)[1])`
	b.await("it goes on", fmt.Sprintf("%s < %d", left, eval[int](b, left)))
	// What is hidden is listed on request, and opens by its key: then it is in the tree, too.
	const box = `[...document.querySelectorAll('label.check')].find((l) => l.textContent === "Hidden").firstChild.click() ?? true`
	eval[bool](b, box)
	b.await("what is hidden", row("_internal/"))
	eval[bool](b, box)
	b.await("it is hidden again", "!"+row("_internal/"))
	b.node("/_internal/secret-path")
	b.sees("Created at index")
	b.await("the hidden directory is in the tree", row("_internal/"))
	b.node("/nothing")
	b.sees("There is no such key.")

	// Copied as curl: the command works.
	b.node("/message")
	b.sees("Hello world")
	b.press("Copy as curl")
	if got := eval[string](b, `document.querySelector('[data-copies]').dataset.copies`); got != "curl 'http://"+m.Address+"/v2/keys/message'" {
		t.Errorf("copied %s", got)
	}

	// An edit shows the difference first, and keeps what others have written.
	b.node("/config/web/motd")
	b.sees("The shop is open.")
	b.press("Edit")
	b.write("dialog textarea", "Welcome.\nThe shop is closed.\nBe kind.")
	b.press("Review the change")
	b.await("the difference", `document.querySelector('.diff')?.textContent.includes("- removed: The shop is open.+ added: The shop is closed.")`)
	m.set(t, "/config/web/motd", "by somebody else")
	b.press("Save")
	b.sees("Somebody has changed this key meanwhile")
	b.press("Cancel")
	m.has(t, "/config/web/motd", "by somebody else")
	b.press("Refresh")
	b.node("/message")
	b.sees("Hello world")
	b.node("/config/web/motd")
	b.sees("by somebody else")
	b.press("Edit")
	b.write("dialog textarea", "by me")
	b.press("Review the change")
	b.press("Save")
	b.closes()
	b.sees("by me")
	m.has(t, "/config/web/motd", "by me")

	// A new key, and one that exists.
	b.node("/config/web")
	b.press("New key")
	b.write("dialog [name=key]", "/message")
	b.write("dialog textarea", "fresh")
	b.press("Review the change")
	b.press("Save")
	b.sees("This key exists already")
	b.press("Back")
	b.write("dialog [name=key]", "/config/web/new")
	b.press("Review the change")
	b.press("Save")
	b.closes()
	b.await("the new key is shown", `document.querySelector('.detail h1').textContent === "/config/web/new"`)
	m.has(t, "/config/web/new", "fresh")
	m.has(t, "/message", "Hello world")

	// Deletes say what goes.
	b.node("/services")
	b.press("Delete")
	b.sees("6 files and 5 directories")
	b.press("Delete 12 nodes")
	b.await("the row goes", "!"+row("services/"))
	if code, _ := ask(t, "GET", m.Address+"/v2/keys/services", ""); code != 404 {
		t.Errorf("services is still there: %d", code)
	}
	b.node("/feature/checkout")
	b.press("Delete")
	b.sees("compare-and-delete")
	b.press("Delete")
	b.closes()
	eventually(t, "the key isn't deleted", func() bool {
		code, _ := ask(t, "GET", m.Address+"/v2/keys/feature/checkout", "")
		return code == 404
	})
}

func TestAHundredThousandChildren(t *testing.T) {
	t.Parallel()
	const n = 100_000
	m := startMembers(t, 1)[0]
	m.fill(t, n, func(i int) string { return fmt.Sprintf("/many/key-%06d", i) })
	m.set(t, "/deep/er/needle-in-there", "x")
	b := open(t, m.operations, 1000)
	b.node("/many")
	b.sees("100,000 nodes here")
	b.await("the children", row("key-000003"))
	if rows := eval[int](b, `document.querySelectorAll('.row').length`); rows > 150 {
		t.Errorf("%d rows are elements", rows)
	}
	b.do(`document.querySelector('.tree').focus()`)
	b.keys(endKey)
	b.await("the last child is in sight", row("key-099999"))
	if got := eval[string](b, row("key-099999")+`.closest('.row').getAttribute('aria-posinset') + " of " + `+row("key-099999")+`.closest('.row').getAttribute('aria-setsize')`); got != "100000 of 100000" {
		t.Errorf("the last child is %s", got)
	}
	b.write("#filter", "needle")
	b.sees("1 match in 100,004 nodes")
	b.write("#filter", "key-0420")
	b.sees("100 matches in 100,004 nodes")
	// Nothing that a user does may freeze the page for long: drawing is what would.
	if ms := eval[float64](b, `(() => { const t = document.querySelector('.tree'), a = performance.now(); for (let i = 0; i < 50; i++) { t.scrollTop = i * 40; t.dispatchEvent(new Event("scroll")); } return (performance.now() - a) / 50; })()`); ms > 200 {
		t.Errorf("one step of scrolling takes %v ms", ms)
	}
}

func TestEventsAreShownOverALeaderChange(t *testing.T) {
	t.Parallel()
	members := startMembers(t, 3, "--event-history=200", "--shards=1")
	leads := func() (leader, follower int) {
		leader = -1
		eventually(t, "there is no leader", func() bool {
			for i, m := range members {
				if _, body, err := tryAsk("GET", m.Address+"/v2/stats/self", ""); err == nil && strings.Contains(body, `"state":"StateLeader"`) {
					leader = i
				}
			}
			return leader >= 0
		})
		return leader, (leader + 1) % 3
	}
	leader, at := leads()
	m := members[at]
	b := open(t, m.operations, 1000, "Failed to load resource", "ERR_")
	b.goTo("#/live?key=%2Fjobs")
	b.sees("Watching /jobs")
	written := 0
	write := func(to member, n int) {
		t.Helper()
		for range n {
			written++
			form := fmt.Sprintf("value=%d", written)
			eventually(t, "a write is refused for long", func() bool {
				code, _, err := tryAsk("PUT", to.Address+"/v2/keys/jobs/counter", form)
				return err == nil && code <= 201
			})
		}
	}
	shows := func() { // each event once, in order; a write that was repeated has the same value
		t.Helper()
		b.await(fmt.Sprintf("event %d is shown", written), fmt.Sprintf(`document.querySelector('.event .new code')?.textContent === "%d"`, written))
		got := eval[string](b, `[...document.querySelectorAll('.event .new code')].map((e) => e.textContent).reverse().filter((v, i, a) => v !== a[i-1]).join()`)
		var want []string
		for i := range written {
			want = append(want, fmt.Sprint(i+1))
		}
		if got != strings.Join(want, ",") {
			t.Fatalf("the page shows %s, want 1 to %d", got, written)
		}
	}
	write(m, 20)
	shows()
	if before := eval[string](b, `document.querySelector('.event .gone code').textContent`); before != "19" {
		t.Errorf("the value before is %s", before)
	}
	members[leader].Kill()
	write(m, 20)
	shows()
	if gaps := eval[int](b, `document.querySelectorAll('.gap').length`); gaps != 0 {
		t.Error("a change of the leader is shown as a gap")
	}
	if err := members[leader].Relaunch(); err != nil {
		t.Fatal(err)
	}
	members[leader].await(t)

	// The member of the page itself dies and comes back: the page goes on from where it was.
	m.Kill()
	b.sees("Disconnected. Going on from index")
	write(members[(at+1)%3], 1)
	if err := m.Relaunch(); err != nil {
		t.Fatal(err)
	}
	m.await(t)
	shows()

	// Paused, the page holds what comes.
	b.press("Pause")
	write(m, 3)
	b.sees("3 events wait")
	b.press("Go on")
	shows()
	// Filtered.
	b.write("[aria-label='Filter by key or value']", "nothing of that name")
	b.sees("No event on this page matches.")
	// What has left the window is a gap, and is said to be one.
	m.fill(t, 300, func(i int) string { return fmt.Sprintf("/other/%d", i) })
	b.goTo("#/live?key=%2Fjobs&index=2")
	b.sees("Gap: the events from index 2 to")
	b.write("[aria-label='Filter by key or value']", " ")
	write(m, 1)
	b.await("the view goes on behind the gap", fmt.Sprintf(`document.querySelector('.event .new code')?.textContent === "%d"`, written))
	b.goTo("#/recent")
	b.sees("Watches that came too late 1")
	leader, _ = leads()
	b.await("the leader is shown", fmt.Sprintf(`[...document.querySelectorAll('td[data-heading=Leader]')].some((e) => e.textContent === "m%d")`, leader+1))
}

func TestTheClusterAtAGlance(t *testing.T) {
	t.Parallel()
	m := startMembers(t, 1, "--slow-request=1ns", "--shards=2")[0]
	m.sample(t)
	b := open(t, m.operations, 1200)
	b.goTo("#/cluster")
	for _, words := range []string{"caught-up", "1 member", "this one", "2 shards", "order", "are free", "A linearizable read", "CopseDown: only Prometheus knows", "None of"} {
		b.do(`document.querySelectorAll("details").forEach((d) => d.open = true)`)
		b.sees(words)
	}
	b.goTo("#/glance")
	b.await("the graphs have lines", `document.querySelectorAll('.card path').length >= 3`)
	b.sees("Requests a second")
	b.goTo("#/recent")
	b.sees("/v2/keys")
	if body := eval[string](b, "document.body.innerText"); strings.Contains(body, "deploy") {
		t.Error("keys of slow requests are shown")
	}
}

func TestAUserLogsIn(t *testing.T) {
	t.Parallel()
	m := startMembers(t, 1)[0]
	m.set(t, "/app/color", "blue")
	for _, r := range [][3]string{
		{"PUT", "/v2/auth/users/root", `{"user":"root","password":"rootpw"}`},
		{"PUT", "/v2/auth/roles/app", `{"role":"app","permissions":{"kv":{"read":["/app/*"],"write":["/app/*"]}}}`},
		{"PUT", "/v2/auth/users/alice", `{"user":"alice","password":"secret","roles":["app"]}`},
		{"PUT", "/v2/auth/enable", ""},
	} {
		if code, body := ask(t, r[0], m.Address+r[1], r[2]); code > 201 {
			t.Fatalf("%s: %d %s", r[1], code, body)
		}
	}
	// The guest may do everything on the client port; on the operations port it may read.
	if code, body := ask(t, "PUT", m.operations+"/v2/keys/app/color", "value=red"); code != 403 {
		t.Errorf("the guest writes: %d %s", code, body)
	}
	if code, body := ask(t, "DELETE", m.Address+"/v2/auth/roles/guest", "", "Authorization", "Basic cm9vdDpyb290cHc="); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	b := open(t, m.operations, 1000, "status of 401", "status of 403")
	b.node("/app/color")
	b.sees("You may not read this key.")
	b.press("Log in")
	b.write("dialog [name=user]", "alice")
	b.write("dialog [name=password]", "wrong")
	b.do(`document.querySelector('dialog form').requestSubmit()`)
	b.sees("The user or the password is wrong.")
	b.write("dialog [name=password]", "secret")
	b.do(`document.querySelector('dialog form').requestSubmit()`)
	b.sees("Log out alice")
	b.sees("blue")
	b.press("Edit")
	b.write("dialog textarea", "green")
	b.press("Review the change")
	b.press("Save")
	b.closes()
	b.sees("green")
	b.goTo("#/recent")
	b.sees("This is shown to users with the role root.")
	if kept := eval[int](b, "localStorage.length + sessionStorage.length + document.cookie.length"); kept != 0 {
		t.Error("the page keeps something in the browser")
	}
	b.press("Log out alice")
	b.sees("Log in")
	b.node("/app/color")
	b.sees("You may not read this key.")
}

// The path of somebody without a mouse.
func TestTheKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	m := startMembers(t, 1, "--ui=write")[0]
	m.sample(t)
	b := open(t, m.operations, 1000)
	b.await("the tree", `document.querySelectorAll('.row').length >= 5`)
	focus := func() string {
		return eval[string](b, `(document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).trim()`)
	}
	tabTo := func(name string) {
		t.Helper()
		var seen []string
		for range 40 {
			b.keys(tabKey)
			if seen = append(seen, focus()); seen[len(seen)-1] == name {
				return
			}
		}
		t.Fatalf("Tab never reaches %s; it reached %q", name, seen)
	}
	tabTo("Skip to the content")
	tabTo("Keys") // the view
	tabTo("Keys") // the tree
	b.keys(right)
	b.await("config opens", row("web/"))
	b.keys(down, down, right)
	b.await("web opens", row("motd"))
	b.keys(down, down, down, enter)
	b.sees("The shop is open.")
	tabTo("Edit")
	b.keys(enter)
	b.sees("Review the change")
	b.keys("X")
	tabTo("Review the change")
	b.keys(enter)
	b.await("the difference", `document.querySelector('.diff')?.textContent.includes("+ added: XWelcome.")`)
	b.keys(enter) // the focus is on Save
	b.closes()
	b.sees("XWelcome.")
	tabTo("Delete")
	b.keys(enter)
	b.sees("compare-and-delete")
	b.keys(escape)
	b.closes()
	b.keys("/")
	b.await("the filter has the focus", `document.activeElement.id === "filter"`)
	b.keys("w", "e", "b", "-")
	b.sees("3 matches in")
	b.keys(down, enter)
	b.sees("10.0.3.17:8080")
}

// Every view in a narrow and a wide window, in the dark and in the light.
func TestEveryViewFits(t *testing.T) {
	t.Parallel()
	m := startMembers(t, 1, "--ui=write", "--slow-request=1ns", "--shards=2")[0]
	m.sample(t)
	b := open(t, m.operations, 1280)
	for _, width := range []int64{1280, 360} {
		b.run(chromedp.EmulateViewport(width, 800))
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			for _, view := range []string{"keys/", "keys/config/web/limits", "keys/config/web", "live?key=%2F&index=1", "cluster", "glance", "recent"} {
				b.goTo("#/" + view)
				switch {
				case strings.HasPrefix(view, "live"):
					b.await("events", `document.querySelectorAll('.event').length > 5`)
				case view == "cluster", view == "recent":
					b.await(view, `document.querySelectorAll('td').length > 5`)
				case view == "glance":
					b.await(view, `document.querySelectorAll('.card path').length >= 3`)
				default:
					b.node(strings.TrimPrefix(view, "keys"))
					b.await(view, `document.querySelectorAll('.row').length > 4`)
				}
				if over := eval[string](b, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("pre, .tree, .unseen, code") && e.offsetParent).map((e) => e.tagName + "." + e.className).slice(0, 5).join() + (document.documentElement.scrollWidth > innerWidth ? " scrolls" : "")`); over != "" {
					t.Errorf("%s at %d px reaches beyond the edge: %s", view, width, over)
				}
				b.contrast(view + " " + scheme)
				if *pictures != "" {
					b.picture(fmt.Sprintf("%d-%s-%s", width, scheme, strings.NewReplacer("/", "-", "?", "-", "%2F", "", "&", "", "=", "").Replace(view)), *pictures)
				}
			}
		}
	}
}
