package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needs skips a test without what it needs, and fails it where scripts/test runs it.
func needs(t *testing.T, there bool, what string) {
	t.Helper()
	switch {
	case there:
	case os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") != "":
		t.Fatal("missing: " + what)
	default:
		t.Skip("missing: " + what)
	}
}

func runnable(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// script returns the text of a file below scripts.
func script(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../scripts", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unit returns the values of a key of the unit's file, in its order.
func unit(t *testing.T, key string) (values []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(script(t, "docker-dispatch.service"), -1) {
		values = append(values, m[1])
	}
	return values
}

// TestUnit: systemd finds no fault with the unit, as one and as a template, and it is well confined.
func TestUnit(t *testing.T) {
	t.Parallel()
	needs(t, runnable("systemd-analyze"), "systemd-analyze")
	dir := t.TempDir()
	text := strings.Replace(script(t, "docker-dispatch.service"), "/usr/bin/docker-dispatch", "/bin/true", 1) // the program must exist
	for file, name := range map[string]string{"docker-dispatch.service": "docker-dispatch.service", "docker-dispatch@.service": "docker-dispatch@other.service"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, name)).CombinedOutput(); err != nil || bytes.Contains(out, []byte("docker-dispatch")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	const exposure = "20" // 2.0 of 10
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+exposure, filepath.Join(dir, "docker-dispatch.service")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestManualUnit: what the manual says of the unit is so: its settings are in the unit, and its files in the package.
func TestManualUnit(t *testing.T) {
	t.Parallel()
	_, section, ok := strings.Cut(pages(t)["operate.md"], "\n## Run it as a systemd unit\n")
	section, _, end := strings.Cut(section, "\n## ")
	if !ok || !end {
		t.Fatal("operate.md has no such section")
	}
	service, packaged := script(t, "docker-dispatch.service"), script(t, "package")+script(t, "docker-dispatch.default")+script(t, "debian/postrm")
	settings := regexp.MustCompile("`([A-Z][A-Za-z]+=[^`]*|GOTRACEBACK=[a-z]+)`").FindAllStringSubmatch(section, -1)
	paths := regexp.MustCompile("`/(etc/[^`]*)`").FindAllStringSubmatch(section, -1)
	if len(settings) < 5 || len(paths) < 5 {
		t.Fatalf("%d settings, %d paths", len(settings), len(paths))
	}
	for _, m := range settings {
		if !strings.Contains(service, "\n"+m[1]+"\n") && !strings.Contains(service, "\nEnvironment="+m[1]+"\n") {
			t.Errorf("the unit has no %s", m[1])
		}
	}
	for _, m := range paths {
		if path, _, _ := strings.Cut(m[1], "NAME"); !strings.Contains(packaged, path) {
			t.Errorf("the package has no /%s", m[1])
		}
	}
}

// TestDefaultFile: each variable of the package's settings is one that the program reads, with a value that it takes.
func TestDefaultFile(t *testing.T) {
	t.Parallel()
	values, tls := make(map[string]string), make(map[string]string) // tls: the second ones
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z_]+)=(.*)$`).FindAllStringSubmatch(script(t, "docker-dispatch.default"), -1) {
		if _, second := values[m[1]]; second {
			tls[m[1]] = m[2]
		} else {
			values[m[1]] = m[2]
		}
	}
	for _, name := range []string{"DOCKER_DISPATCH_QUEUE", "AMQP_URL", "DOCKER_HOST", "DOCKER_DISPATCH_AMQP_PASSWORD_FILE", "DOCKER_DISPATCH_POLICY", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		if values[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	for name := range values {
		if option, ok := strings.CutPrefix(name, "DOCKER_DISPATCH_"); ok && !strings.Contains(usage, "--"+strings.ToLower(strings.ReplaceAll(option, "_", "-"))+" ") {
			t.Errorf("%s: there is no such option", name)
		}
	}
	password := filepath.Join(t.TempDir(), "password") // systemd makes it
	if err := os.WriteFile(password, []byte("p"), 0o600); err != nil {
		t.Fatal(err)
	}
	values["DOCKER_DISPATCH_AMQP_PASSWORD_FILE"] = password
	s, err := parseSettings(nil, func(name string) string { return values[name] })
	if err != nil || s.queue != "jobs" || s.policyFile != "/etc/docker-dispatch/policy.json" {
		t.Errorf("%+v, %v", s, err)
	}
	delete(values, "DOCKER_DISPATCH_MIN_FREE") // of an engine on this host only
	values["DOCKER_HOST"] = tls["DOCKER_HOST"]
	if s, err := parseSettings(nil, func(name string) string { return values[name] }); err != nil || s.dockerHost.String() != "tcp://engine.example:2376" || !s.tlsVerify {
		t.Errorf("TLS to the engine: %+v, %v", s, err)
	}
	values["AMQP_URL"] = tls["AMQP_URL"]
	if _, err := parseSettings(nil, func(name string) string { return values[name] }); err == nil || !strings.Contains(err.Error(), "open /etc/docker-dispatch/broker-ca.pem") {
		t.Errorf("TLS to the broker: %v", err)
	}
}
