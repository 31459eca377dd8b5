package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// calm bounds what a browser may take for one step. It only matters when something is broken.
const calm = 45 * time.Second

// A Page is the only tab of a headless Chromium of its own. Its methods end the test if the browser cannot do what they ask for. It must not be
// used by several goroutines at once.
type Page struct {
	t   T
	ctx context.Context

	mu       sync.Mutex
	messages []string
}

// Open starts a Chromium with an empty profile. It trusts any certificate: servers in tests sign theirs themselves. The test fails at its end if the browser has
// refused something on a page, say a script that the page's Content-Security-Policy does not allow.
func Open(t T) *Page {
	t.Helper()
	path, err := findChromium()
	if err != nil {
		missing(t, "Chromium", DemandBrowser)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(t.TempDir(), "profile")),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors, chromedp.WindowSize(1000, 760),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(end)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	p := &Page{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // without a deadline: that would be the browser's
		t.Fatalf("Chromium does not start: %v", err)
	}
	go p.listen()
	t.Cleanup(func() {
		if refused := p.refused(); len(refused) > 0 {
			t.Errorf("the browser has refused:\n%s", strings.Join(refused, "\n"))
		}
	})
	return p
}

func findChromium() (path string, err error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// listen collects what the browser has to say about its pages.
func (p *Page) listen() {
	for message, err := range chromedp.Console(p.ctx) {
		if err != nil {
			return
		}
		if message.IsException() || strings.Contains(message.Text, "Content Security Policy") {
			p.mu.Lock()
			p.messages = append(p.messages, message.String())
			p.mu.Unlock()
		}
	}
}

// refused returns what the browser has said so far that it would not do.
func (p *Page) refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages
}

// Refuses waits until the browser has said n times what it would not do on a page, and returns that. What a test has waited for does not fail it at its end.
func (p *Page) Refuses(n int) []string {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(calm); len(p.refused()) < n; <-tick.C {
		if time.Now().After(end) {
			p.t.Fatalf("the browser has refused %q, want %d refusals", p.refused(), n)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	messages := p.messages
	p.messages = nil
	return messages
}

// Visit types the address into the address bar and returns the status of the page that it leads to.
func (p *Page) Visit(url string) int {
	p.t.Helper()
	return p.load("visit "+url, chromedp.Navigate(url))
}

// Click clicks the first element that the CSS selector finds, which leads to a page, and returns that page's status.
func (p *Page) Click(selector string) int {
	p.t.Helper()
	return p.load("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Enter presses the key in a field, which sends its form, and returns the status of the page that it leads to.
func (p *Page) Enter(selector string) int {
	p.t.Helper()
	return p.load("press enter in "+selector, chromedp.SendKeys(chromedp.CSS(selector), "\r"))
}

// Back goes back to the page before, as the button of the browser does. That page may be shown as it was, without having been loaded again; it can be
// looked at, but not clicked on or typed into.
func (p *Page) Back() {
	p.t.Helper()
	before := result(p, "read the history", chromedp.NavigationEntries())
	if before.CurrentIndex == 0 {
		p.t.Fatalf("there is no page to go back to")
	}
	entry := before.Entries[before.CurrentIndex-1]
	p.do("go back", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID})
		return err
	}))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(calm); ; <-tick.C {
		shown, err := p.shows(before.CurrentIndex - 1)
		if shown {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("going back from %s leads nowhere (last error: %v)", before.Entries[before.CurrentIndex].URL, err)
		}
	}
}

// shows reports whether the page at index of the history stands there, whole. The error is that of a browser that cannot say: while it exchanges the page for
// one that it has kept, none is attached, and every question is refused.
func (p *Page) shows(index int64) (bool, error) {
	now, err := try(p, chromedp.NavigationEntries())
	if err != nil || now.CurrentIndex != index {
		return false, err
	}
	return try(p, chromedp.Evaluate[bool](`document.readyState == 'complete' && location.href == `+quoted(now.Entries[index].URL)))
}

// Type replaces what stands in a field.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.do("type into "+selector, chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Text returns what a reader sees on the page.
func (p *Page) Text() string {
	p.t.Helper()
	return result(p, "read the page", chromedp.Evaluate[string](`document.body.innerText`))
}

// URL returns what stands in the address bar.
func (p *Page) URL() string {
	p.t.Helper()
	return result(p, "read the address", chromedp.Location())
}

// Has reports whether the CSS selector finds something on the page.
func (p *Page) Has(selector string) bool {
	p.t.Helper()
	return result(p, "look for "+selector, chromedp.Evaluate[bool](`document.querySelector(`+quoted(selector)+`) !== null`))
}

// quoted returns text as a string of JavaScript. Selectors are the test's own and hold no line ends.
func quoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// A Control is something on a page that can be clicked.
type Control struct {
	Name string // what stands on it
	Path string // where it leads: the path of a link's or a form's target
	Kind string // "link" or "button"
	at   string // how a script finds it
}

// clickable is a script that lists what can be clicked on a page.
const clickable = `Array.from(document.querySelectorAll('a[href], button, input[type=submit], input[type=image], summary, [onclick]'), e => ({
	Name: (e.innerText || e.value || e.getAttribute('aria-label') || '').trim(),
	Kind: e.tagName == 'A' ? 'link' : 'button',
	Path: new URL(e.href || e.form?.action || '', location.href).pathname,
}))`

// Controls returns everything that can be clicked on the page.
func (p *Page) Controls() []Control {
	p.t.Helper()
	found := result(p, "list the controls", chromedp.Evaluate[[]map[string]string](clickable))
	var all []Control
	for i, c := range found {
		selectors, _, _ := strings.Cut(strings.TrimPrefix(clickable, "Array.from("), ", e =>")
		all = append(all, Control{c["Name"], c["Path"], c["Kind"], selectors + "[" + strconv.Itoa(i) + "]"})
	}
	return all
}

// Press clicks a control of the page as it is now, and returns the status of the page that it leads to.
func (p *Page) Press(c Control) int {
	p.t.Helper()
	return p.load("press "+c.Name, chromedp.Click(chromedp.JSPath(c.at)))
}

// Cookies returns what the browser keeps, of all sites.
func (p *Page) Cookies() []*network.Cookie {
	p.t.Helper()
	return result(p, "read the cookies", func(ctx context.Context, _ *chromedp.Target) ([]*network.Cookie, error) {
		got, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
		return got.Cookies, err
	})
}

// Script runs a script in the page, as an attacker's would, waits for it, and returns what it has to say.
func (p *Page) Script(text string) string {
	p.t.Helper()
	return result(p, "run a script", chromedp.Evaluate[string](text, chromedp.EvalAwaitPromise))
}

// Narrow makes the window as wide as that of a telephone.
func (p *Page) Narrow() {
	p.t.Helper()
	p.do("narrow the window", chromedp.EmulateViewport(360, 700, chromedp.EmulateMobile))
}

// Picture writes a picture of the page to the folder that GATEHOUSE_TEST_PICTURES names, for people. Without the variable it does nothing.
func (p *Page) Picture(name string) {
	p.t.Helper()
	dir := os.Getenv("GATEHOUSE_TEST_PICTURES")
	if dir == "" {
		return
	}
	png := result(p, "take a picture", chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatalf("%v", err)
	}
}

// load takes steps that lead to a page and returns its status.
func (p *Page) load(what string, steps ...chromedp.Action[chromedp.Void]) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, calm)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return int(response.Status)
}

func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	result(p, what, chromedp.Steps(steps...))
}

func result[V any](p *Page, what string, action chromedp.Action[V]) V {
	p.t.Helper()
	value, err := try(p, action)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return value
}

// try is result for what the browser may refuse to do.
func try[V any](p *Page, action chromedp.Action[V]) (V, error) {
	ctx, cancel := context.WithTimeout(p.ctx, calm)
	defer cancel()
	return chromedp.Run(ctx, action)
}
