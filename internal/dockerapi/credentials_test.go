package dockerapi

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installHelpers puts credential helpers on PATH: shell scripts by their name.
func installHelpers(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// writeConfig writes config.json, and returns its environment.
func writeConfig(t *testing.T, text string) (getenv func(string) string, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(name string) string {
		return map[string]string{"DOCKER_CONFIG": dir, "HOME": "/nowhere"}[name]
	}, path
}

func TestCredentials(t *testing.T) {
	installHelpers(t, map[string]string{
		// Says what it was asked for.
		"echo":    `test "$*" = get && echo "{\"ServerURL\":\"x\",\"Username\":\"u of $(cat)\",\"Secret\":\"p?>~\"}"`,
		"token":   `echo '{"Username":"<token>","Secret":"refresh"}'`,
		"nothing": `echo 'credentials not found in native keychain'; exit 1`,
		"empty":   `echo '{"Username":"","Secret":""}'`,
	})
	// user:pa:ss, and user:pass with the NUL that old CLIs have left
	const auths = `{"auths":{"reg.example":{"auth":"dXNlcjpwYTpzcw=="},"nul:5000":{"auth":"dXNlcjpwYXNzAA=="},
		"https://old.example/v1/":{"username":"u","password":"p"},"both":{"auth":"dXNlcjpwYXNz","username":"x","password":"y"},
		"identity.example":{"auth":"dXNlcjo=","identitytoken":"refresh"},"bearer.example":{"registrytoken":"bearer"},
		"empty.example":{},"https://index.docker.io/v1/":{"auth":"aHViOnB3"},"docker.io":{"auth":"dXNlcjpwYXNz"}},"HttpHeaders":{"a":"b"}`
	for _, test := range []struct{ name, config, ref, want string }{
		{"none", `{}`, "reg.example/a", ""},
		{"empty file", `{"auths":null,"credHelpers":null}`, "reg.example/a", ""},
		{"another registry", auths + `}`, "other.example/a", ""},
		{"another port", auths + `}`, "reg.example:5000/a", ""},
		{"colon in the password", auths + `}`, "reg.example/a/b:1@sha256:ff", `{"username":"user","password":"pa:ss","serveraddress":"reg.example"}`},
		{"port and NUL", auths + `}`, "nul:5000/a", `{"username":"user","password":"pass","serveraddress":"nul:5000"}`},
		{"fields, and a key of old", auths + `}`, "old.example/a", `{"username":"u","password":"p","serveraddress":"old.example"}`},
		{"identity token", auths + `}`, "identity.example/a", `{"username":"user","identitytoken":"refresh","serveraddress":"identity.example"}`},
		{"registry token", auths + `}`, "bearer.example/a", `{"registrytoken":"bearer","serveraddress":"bearer.example"}`},
		{"empty entry", auths + `}`, "empty.example/a", ""},
		{"hub", auths + `}`, "busybox", `{"username":"hub","password":"pw","serveraddress":"https://index.docker.io/v1/"}`},
		{"hub with a tag", auths + `}`, "busybox:1.2", `{"username":"hub","password":"pw","serveraddress":"https://index.docker.io/v1/"}`},
		{"hub with a user", auths + `}`, "both/busybox", `{"username":"hub","password":"pw","serveraddress":"https://index.docker.io/v1/"}`},
		{"hub by name", auths + `}`, "docker.io/library/busybox", `{"username":"hub","password":"pw","serveraddress":"https://index.docker.io/v1/"}`},
		{"hub by its old name", auths + `}`, "index.docker.io/library/busybox", `{"username":"hub","password":"pw","serveraddress":"https://index.docker.io/v1/"}`},
		{"hub spelled otherwise", `{"auths":{"index.docker.io":{"auth":"aHViOnB3"}}}`, "busybox", `{"username":"hub","password":"pw","serveraddress":"https://index.docker.io/v1/"}`},
		{"hub's tokens are for something else", `{"auths":{"https://index.docker.io/v1/access-token":{"auth":"aHViOnB3"}}}`, "busybox", ""},
		{"store", auths + `,"credsStore":"echo"}`, "reg.example/a", `{"username":"u of reg.example","password":"p?\u003e~","serveraddress":"reg.example"}`},
		{"store for hub", auths + `,"credsStore":"echo"}`, "busybox", `{"username":"u of https://index.docker.io/v1/","password":"p?\u003e~","serveraddress":"https://index.docker.io/v1/"}`},
		{"store with a token", auths + `,"credsStore":"token"}`, "reg.example/a", `{"identitytoken":"refresh","serveraddress":"reg.example"}`},
		{"store without", auths + `,"credsStore":"nothing"}`, "reg.example/a", ""},
		{"store with nothing", auths + `,"credsStore":"empty"}`, "reg.example/a", ""},
		{"helper before store", auths + `,"credsStore":"nothing","credHelpers":{"reg.example":"token"}}`, "reg.example/a", `{"identitytoken":"refresh","serveraddress":"reg.example"}`},
		{"helper of another", auths + `,"credHelpers":{"other.example":"token"}}`, "both/busybox", `{"username":"hub","password":"pw","serveraddress":"https://index.docker.io/v1/"}`},
		{"helper switched off", auths + `,"credsStore":"nothing","credHelpers":{"nul:5000":""}}`, "nul:5000/a", `{"username":"user","password":"pass","serveraddress":"nul:5000"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			getenv, _ := writeConfig(t, test.config)
			c, err := LoadCredentials(getenv)
			if err != nil {
				t.Fatal(err)
			}
			auth, err := c.For(background(t), test.ref)
			if err != nil {
				t.Fatal(err)
			}
			got, err := base64.URLEncoding.DecodeString(auth)
			if err != nil || string(got) != test.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, test.want)
			}
		})
	}
}

func TestCredentialsErrors(t *testing.T) {
	installHelpers(t, map[string]string{
		"fails":   "echo hunter2; echo hunter2 >&2; exit 3",
		"garbled": "echo 'hunter2 {'",
		"list":    `echo '["hunter2"]'`,
		"number":  `echo '{"Username":"u","Secret":12345}'`,
		"hangs":   "exec sleep 600",
		"forks":   "sleep 3 & exit 0", // which holds its stdout
		"endless": "yes hunter2",
	})
	for _, test := range []struct{ config, want string }{
		{`{"auths":{` + "\n" + `"r.x":{"auth":hunter2}}}`, `registry credentials: FILE is not valid JSON, see line 2; repair the file, or delete it and log in again`},
		{``, `registry credentials: FILE is not valid JSON, see line 1; repair the file, or delete it and log in again`},
		{`["hunter2"]`, `registry credentials: FILE is not a JSON object; repair the file, or delete it and log in again`},
		{`{"auths":` + "\n" + `{"r.x":` + "\n" + `{"password":12345}}}`, `registry credentials: FILE: line 3: auths.password has a value of the wrong type`},
		{`{"x":"` + strings.Repeat("x", maxConfig) + `"}`, `registry credentials: FILE is larger than 1048576 bytes; is it the docker CLI's file?`},
		{`{"auths":{"r.x":{"auth":"hunter2"}}}`, `registry credentials: FILE: the "auth" of r.x is not base64 of USER:PASSWORD; log in again with: docker login r.x`},
		{`{"auths":{"r.x":{"auth":"aHVudGVyMg=="}}}`, `registry credentials: FILE: the "auth" of r.x is not base64 of USER:PASSWORD; log in again with: docker login r.x`},
		{`{"credsStore":"missing"}`, `registry credentials: credential helper docker-credential-missing for r.x: the program is not on PATH; install it, or remove it from FILE`},
		{`{"credsStore":"../x"}`, `registry credentials: credential helper docker-credential-../x for r.x: that is not the name of a helper; see credsStore and credHelpers in FILE`},
		{`{"credsStore":"fails"}`, `registry credentials: credential helper docker-credential-fails for r.x: exit status 3; to see why, run "docker-credential-fails get" with the registry's name on its standard input`},
		{`{"credsStore":"garbled"}`, `registry credentials: credential helper docker-credential-garbled for r.x: its answer is not a JSON object with Username and Secret; is it a credential helper?`},
		{`{"credsStore":"list"}`, `registry credentials: credential helper docker-credential-list for r.x: its answer is not a JSON object with Username and Secret; is it a credential helper?`},
		{`{"credsStore":"number"}`, `registry credentials: credential helper docker-credential-number for r.x: its answer is not a JSON object with Username and Secret; is it a credential helper?`},
		{`{"credsStore":"hangs"}`, `registry credentials: credential helper docker-credential-hangs for r.x: no answer within 300ms; it may be waiting for input. Run "docker-credential-hangs get" by hand with the registry's name on its standard input`},
		{`{"credsStore":"forks"}`, `registry credentials: credential helper docker-credential-forks for r.x: no answer within 300ms; it may be waiting for input. Run "docker-credential-forks get" by hand with the registry's name on its standard input`},
		{`{"credsStore":"endless"}`, `registry credentials: credential helper docker-credential-endless for r.x: no answer within 300ms; it may be waiting for input. Run "docker-credential-endless get" by hand with the registry's name on its standard input`},
	} {
		getenv, path := writeConfig(t, test.config)
		c, err := LoadCredentials(getenv)
		if err == nil {
			c.helperLimit = 300 * time.Millisecond
			_, err = c.For(background(t), "r.x/a")
		}
		if want := strings.Replace(test.want, "FILE", path, 1); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// Where the file is, that it need not be there, and that a login counts at once.
func TestCredentialsFile(t *testing.T) {
	home := t.TempDir()
	getenv := func(name string) string { return map[string]string{"HOME": home}[name] }
	c, err := LoadCredentials(getenv)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(c *Credentials, want bool) {
		t.Helper()
		if auth, err := c.For(background(t), "r.x/a"); err != nil || (auth != "") != want {
			t.Errorf("%q, %v", auth, err)
		}
	}
	expect(c, false)
	path := filepath.Join(home, ".docker", "config.json")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"auths":{"r.x":{"auth":"dXNlcjpwYXNz"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(c, true)
	if err := os.WriteFile(path, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.For(background(t), "r.x/a"); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if _, err := LoadCredentials(getenv); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect(c, false)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.For(background(t), "r.x/a"); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "DOCKER_CONFIG") {
		t.Error(err)
	}

	nowhere, err := LoadCredentials(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	expect(nowhere, false)
}

func TestCredentialsCancelled(t *testing.T) {
	installHelpers(t, map[string]string{"hangs": "exec sleep 600"})
	getenv, _ := writeConfig(t, `{"credsStore":"hangs"}`)
	c, err := LoadCredentials(getenv)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background(t))
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.For(ctx, "r.x/a"); err != context.Canceled {
		t.Error(err)
	}
}
