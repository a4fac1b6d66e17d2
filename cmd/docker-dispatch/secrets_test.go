package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestSecretsAreKept: a container has its secrets, and their values stand nowhere else that the daemon writes: output, log,
// results, dead letters, labels, and the answer to an inspect. The same holds for the password of the broker's user.
func TestSecretsAreKept(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	dir := l.sharedDir()
	values := map[string]string{"token": brokertest.Password + "-token", "key": brokertest.Password + "-key", "denied": brokertest.Password + "-denied"}
	for name, v := range values {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(v+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rules := policyFile(t, `{"Allow": {"Secret": ["token", "key"]}}`)
	to, err := url.Parse(l.amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	user := brokertest.NewUser(t)
	user.Permit(".*", ".*", ".*")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(brokertest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	to.User = url.User(user.Name)
	p := l.start("="+l.dockerHost, "="+to.String(), "--amqp-password-file", password, "--policy", rules, "--secrets", dir, "--format", "json", "-v")

	name := "secret-" + l.serial
	for i, m := range []struct {
		body   string
		status event.Status
	}{
		{fmt.Sprintf(`{"Dockercmd": "run", "Image": "busybox", "Cmd": ["sh", "-c", "[ $TOKEN = %s ] && [ $(cat /run/secrets/key) = %s ] && ! touch /run/secrets/key"],
			"Options": {"Env": {"TOKEN": "secret:token"}, "Secret": "key", "Remove": true}}`, values["token"], values["key"]), event.Succeeded},
		{`{"Dockercmd": "run", "Image": "busybox", "Cmd": ["sleep", "1000"], "Options": {"Name": "` + name + `", "Env": {"TOKEN": "secret:token"}, "Secret": "key"}}`, event.Succeeded},
		{`{"Dockercmd": "exec", "Container": "` + name + `", "Cmd": ["sh", "-c", "[ $AGAIN = $TOKEN ]"], "Options": {"Env": {"AGAIN": "secret:token"}}}`, event.Succeeded},
		{`{"Dockercmd": "inspect", "Container": "` + name + `"}`, event.Succeeded},
		{`{"Dockercmd": "run", "Image": "busybox", "Options": {"Env": {"D": "secret:denied"}}}`, event.Refused},
		{`{"Dockercmd": "run", "Image": "busybox:none", "Options": {"Pull": "never", "Env": {"TOKEN": "secret:token"}}}`, event.Errored},
		{`{"Dockercmd": "run", "Image": "busybox", "Cmd": ["none"], "Options": {"Remove": true, "Env": {"TOKEN": "secret:token"}}}`, event.Errored},
		{`{"Dockercmd": "stop", "Container": "` + name + `", "Options": {"Time": 0}}`, event.Succeeded},
	} {
		l.publish(publication{"", m.body})
		p.done(i + 1)
		results := p.results()
		if r := results[len(results)-1]; r.Status != m.status && !(m.status == event.Succeeded && r.Status == event.Stopped) {
			t.Errorf("%s: %+v", m.body, r)
		}
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	seen := p.out() + p.log()
	if !strings.Contains(seen, "TOKEN=(secret)") {
		t.Error("the inspect does not show that there is a secret")
	}
	for _, d := range l.broker.Take(l.queue + ".dead") {
		seen += fmt.Sprint(d.Headers, string(d.Body))
	}
	for _, c := range l.containers() {
		seen += fmt.Sprint(c.Labels)
	}
	for name, v := range values {
		if at := strings.Index(seen, v); at >= 0 {
			t.Errorf("the secret %s is in %.300s", name, seen[max(0, at-200):])
		}
	}
	if strings.Contains(seen, brokertest.Password) {
		t.Error("the log has the password")
	}
}
