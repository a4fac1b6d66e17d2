package cmd

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/secrets"
)

// secretsIn makes a folder of secrets.
func secretsIn(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSecrets: the engine gets a secret's value, and nothing else does.
func TestSecrets(t *testing.T) {
	const value = "s3cret-of-the-tests"
	dir := secretsIn(t, map[string]string{"token": value + "\n", "nul": "a\x00b", "amqp": value, "large": strings.Repeat("x", secrets.Max+1)})
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"run", "create"} {
		for _, tt := range []struct{ options, policy, dir, want string }{ // want "": carried out
			{`"Env": {"TOKEN": "secret:token", "A": "b"}`, `{"Allow": {"Secret": "token"}}`, dir, ""},
			{`"Secret": "token"`, `{"Allow": {"Secret": "to*"}}`, dir, ""},
			{`"Env": {"TOKEN": "secret:token"}`, `{}`, dir, `Options.Env: "token": denied, because it is a secret of the daemon's`},
			{`"Secret": ["token"]`, `{"Allow": {"Secret": "other"}}`, dir, `Options.Secret: "token": denied, by Allow.Secret`},
			{`"Secret": ["token"]`, `{"Trust": true}`, "", `the secret "token": denied, because the daemon has no secrets (--secrets)`},
			{`"Env": "T=secret:none"`, `{"Trust": true}`, dir, `the secret "none": denied, because the folder of --secrets has no such file`},
			{`"Secret": "none"`, `{"Trust": true}`, dir, `the secret "none": denied, because the folder`},
			{`"Secret": "folder"`, `{"Trust": true}`, dir, `the secret "folder": denied, because it cannot be read`},
			{`"Env": "T=secret:amqp"`, `{"Trust": true}`, dir, `the secret "amqp": denied, because it is the broker's password`},
			{`"Secret": "amqp"`, `{"Allow": {"Secret": "*"}}`, dir, `the secret "amqp": denied, because it is the broker's password`},
			{`"Env": "T=secret:nul"`, `{"Trust": true}`, dir, `the secret "nul": denied, because it cannot be read: it holds a NUL byte`},
			{`"Env": "T=secret:large"`, `{"Trust": true}`, dir, `the secret "large": denied, because it cannot be read: it has more than`},
			{`"Env": "T=secret:../token"`, `{"Trust": true}`, dir, `Options.Env: expected the name of a secret`},
			{`"Secret": "a/b"`, `{"Trust": true}`, dir, `Options.Secret: expected the name of a secret`},
		} {
			var log bytes.Buffer
			onBench(t, func(c *Config) {
				c.Policy, c.Secrets = withPolicy(tt.policy), secrets.Folder{Path: tt.dir, Withheld: filepath.Join(dir, "amqp")}
				c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			}, func(b *bench) {
				d := b.send("m", "id", false, fmt.Sprintf(`{"Dockercmd": %q, "Image": "busybox", "Options": {"Name": "web", %s}}`, verb, tt.options))
				text := fmt.Sprint(b.result(), log.String())
				if strings.Contains(text, value) {
					t.Errorf("the value is in %s", text)
				}
				if tt.want != "" {
					d.want(intake.DeadLetter, b.result().Reason)
					if got := b.result().Error; !strings.HasPrefix(got, tt.want) || b.docker.count() != 0 {
						t.Errorf("%s: got %s", tt.options, got)
					}
					return
				}
				d.want(intake.Ack, "")
				c := b.docker.named(t, "web")
				switch {
				case strings.Contains(tt.options, "Env") && !slices.Equal(c.config.Env, []string{"TOKEN=" + value, "A=b"}):
					t.Errorf("variables %q", c.config.Env)
				case strings.Contains(tt.options, `"Secret"`):
					if m := c.config.HostConfig.Mounts; len(m) != 1 || m[0].Source != filepath.Join(dir, "token") || m[0].Target != "/run/secrets/token" || !m[0].ReadOnly {
						t.Errorf("mounts %+v", m)
					}
				}
				for k, v := range c.Labels {
					if strings.Contains(v, value) {
						t.Errorf("label %s is %s", k, v)
					}
				}
			})
		}
	}
}

// TestSecretOfExec: an exec gets a secret's value, if the policy allows that.
func TestSecretOfExec(t *testing.T) {
	dir := secretsIn(t, map[string]string{"token": "v4lue"})
	for policy, want := range map[string]string{`{"Allow": {"Secret": "token"}}`: "", `{}`: event.ReasonPolicy} {
		onBench(t, func(c *Config) { c.Policy, c.Secrets = withPolicy(policy), secrets.Folder{Path: dir} }, func(b *bench) {
			c := b.leave("web", "running", nil)
			b.send("m", "id", false, `{"Dockercmd": "exec", "Container": "web", "Cmd": ["true"], "Options": {"Env": "T=secret:token"}}`)
			made := ""
			b.docker.mu.Lock()
			if c.exec != nil {
				made = fmt.Sprint(c.exec.config.Env)
			}
			b.docker.mu.Unlock()
			b.endExecs(c)
			if r := b.result(); r.Reason != want || strings.Contains(fmt.Sprint(r), "v4lue") {
				t.Errorf("%s: %+v", policy, r)
			}
			if strings.Contains(made, "T=v4lue") != (want == "") {
				t.Errorf("%s: execs %s", policy, made)
			}
		})
	}
}
