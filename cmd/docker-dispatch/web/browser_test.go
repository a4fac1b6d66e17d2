package web

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A browser is a headless Chromium, driven by the Chrome DevTools Protocol over a pipe.
type browser struct {
	to   io.Writer
	mu   sync.Mutex
	last int
	wait map[int]chan cdpMessage
	tabs map[string]*tab // by session
	gone chan struct{}   // closed when the browser has ended
}

type cdpMessage struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// newBrowser starts a browser that ends with the test. Without one the test is skipped, or fails if all is required.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" && os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") != "" {
		t.Fatal("no browser; run scripts/test, or scripts/services install chromium-headless-shell")
	} else if path == "" {
		t.Skip("no browser; scripts/services install chromium-headless-shell")
	}
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "dispatch-browser") // not t.TempDir: the browser's children may write there a little longer
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--user-data-dir="+profile, "about:blank")
	c.ExtraFiles = []*os.File{inRead, outWrite} // 3 and 4 there
	var stderr strings.Builder
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	inRead.Close()
	outWrite.Close()
	b := &browser{to: inWrite, wait: make(map[int]chan cdpMessage), tabs: make(map[string]*tab), gone: make(chan struct{})}
	go b.read(outRead)
	t.Cleanup(func() {
		inWrite.Close() // ends it
		stuck := time.AfterFunc(patience, func() { c.Process.Kill() })
		c.Wait()
		stuck.Stop()
		outRead.Close()
		<-b.gone
		os.RemoveAll(profile)
		if t.Failed() {
			t.Logf("the browser said:\n%.3000s", stderr.String())
		}
	})
	return b
}

// read passes on what the browser sends: messages that end with a NUL.
func (b *browser) read(from io.Reader) {
	defer close(b.gone)
	in := bufio.NewReader(from)
	for {
		data, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m cdpMessage
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		answer, tab := b.wait[m.ID], b.tabs[m.Session]
		delete(b.wait, m.ID)
		b.mu.Unlock()
		if answer != nil {
			answer <- m
		} else if tab != nil {
			tab.event(m)
		}
	}
}

// call makes a call, and decodes its result.
func (b *browser) call(t *testing.T, session, method string, params map[string]any, result any) {
	t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan cdpMessage, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.wait[id] = answer
	data, _ := json.Marshal(cdpMessage{ID: id, Session: session, Method: method, Params: raw})
	_, err = b.to.Write(append(data, 0))
	b.mu.Unlock()
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				t.Fatalf("%s: %v in %s", method, err, m.Result)
			}
		}
	case <-b.gone:
		t.Fatalf("%s: the browser has ended", method)
	case <-time.After(patience):
		t.Fatalf("%s: no answer", method)
	}
}

// A tab is one page in a browser context of its own. It remembers what the browser complained of.
type tab struct {
	*browser
	t       *testing.T
	session string

	mu     sync.Mutex
	errors []string
	loaded chan struct{}
}

// open opens a page with the options, and waits until it is loaded.
func (b *browser) open(t *testing.T, url string, options ...func(*tab)) *tab {
	t.Helper()
	var context struct{ BrowserContextID string }
	b.call(t, "", "Target.createBrowserContext", nil, &context)
	var target struct{ TargetID string }
	b.call(t, "", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": context.BrowserContextID}, &target)
	var session struct{ SessionID string }
	b.call(t, "", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	p := &tab{browser: b, t: t, session: session.SessionID, loaded: make(chan struct{}, 1)}
	b.mu.Lock()
	b.tabs[p.session] = p
	b.mu.Unlock()
	t.Cleanup(func() {
		b.call(t, "", "Target.disposeBrowserContext", map[string]any{"browserContextId": context.BrowserContextID}, nil)
	})
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.do(domain+".enable", nil, nil)
	}
	p.size(1280, 900)
	for _, o := range options {
		o(p)
	}
	p.do("Page.navigate", map[string]any{"url": url}, nil)
	p.awaitLoad(url)
	return p
}

// awaitLoad waits until a page has been loaded since the last time.
func (p *tab) awaitLoad(what string) {
	p.t.Helper()
	select {
	case <-p.loaded:
	case <-time.After(patience):
		p.t.Fatalf("not loaded: %s", what)
	}
}

func (p *tab) do(method string, params map[string]any, result any) {
	p.t.Helper()
	p.call(p.t, p.session, method, params, result)
}

func (p *tab) event(m cdpMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case p.loaded <- struct{}{}:
		default:
		}
	case "Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled":
		p.errors = append(p.errors, m.Method+" "+string(m.Params))
	}
}

// complaints returns dialogs, exceptions and what the console has: also violations of the page's policy.
func (p *tab) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.errors)
}

func (p *tab) size(width, height int) {
	p.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
}

func phone(p *tab) { p.size(360, 740) }

func dark(p *tab) {
	p.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}}}, nil)
}

func noScript(p *tab) {
	p.do("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
}

// eval returns the value of an expression in the page.
func (p *tab) eval(expression string) any {
	p.t.Helper()
	var r struct {
		Result struct {
			Value any
		}
		ExceptionDetails json.RawMessage
	}
	p.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	return r.Result.Value
}

// until waits until an expression is true. The page looks again at each of its frames.
func (p *tab) until(what, expression string) {
	p.t.Helper()
	ok := p.eval(fmt.Sprintf(`new Promise(done => {
		const end = performance.now() + %d, look = () => (%s) ? done(true) : performance.now() > end ? done(false) : requestAnimationFrame(look);
		look();
	})`, (patience - time.Second*5).Milliseconds(), expression))
	if ok != true {
		p.t.Fatalf("not within %v: %s; the page says:\n%.2000v", patience, what, p.eval("document.body.innerText"))
	}
}

// key presses a key.
func (p *tab) key(name string) {
	p.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		p.do("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": map[string]int{"Tab": 9, "Enter": 13}[name]}, nil)
	}
}

// picture writes a screenshot into the folder of DISPATCH_TEST_PICTURES, if that is set.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("DISPATCH_TEST_PICTURES")
	if dir == "" {
		return
	}
	p.do("Page.bringToFront", nil, nil)
	var shot struct{ Data string }
	p.do("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
