package main

import (
	"encoding/json"
	"regexp"
	"testing"
)

// TestCompose: the daemon of compose.yaml takes its command line.
func TestCompose(t *testing.T) {
	t.Parallel()
	value := func(key string, to any) {
		t.Helper()
		m := regexp.MustCompile(`(?m)^    `+key+`: ([[{].*)$`).FindAllStringSubmatch(script(t, "compose.yaml"), -1)
		if len(m) != 1 {
			t.Fatalf("%d lines of %s", len(m), key)
		}
		if err := json.Unmarshal([]byte(m[0][1]), to); err != nil {
			t.Fatal(key, err)
		}
	}
	var command []string
	var environment map[string]string
	value("command", &command)
	value("environment", &environment)
	s, err := parseSettings(command, func(name string) string { return environment[name] })
	if err != nil {
		t.Fatal(err)
	}
	if s.queue != "jobs" || s.declare == "" || !s.dockerHost.IsUnix() || s.amqpURL != "amqp://guest:guest@broker:5672" {
		t.Errorf("%+v", s)
	}
}
