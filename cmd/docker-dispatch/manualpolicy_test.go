package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

// TestManualPolicies: the three policies that the manual shows are complete, and do what it says of them.
func TestManualPolicies(t *testing.T) {
	_, section, _ := strings.Cut(pages(t)["policy.md"], "## Three complete policies")
	var rules []*policy.Policy
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(section, -1) {
		p, err := policy.Parse([]byte(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, p)
	}
	if len(rules) != 3 {
		t.Fatalf("%d policies", len(rules))
	}
	run := func(options string) string {
		return `{"Dockercmd": "run", "Image": "busybox", "Options": {"Remove": true` + options + `}}`
	}
	const lab, team, hostile = 0, 1, 2
	for _, tt := range []struct {
		policy        int
		user, message string
		denied        string // "": allowed
	}{
		{lab, "", run(`, "Privileged": true, "CapAdd": "ALL", "Network": "host", "Publish": "80:80", "Volume": ["/srv/lab:/lab", "/usr/share/doc:/doc:ro"]`), ""},
		{lab, "", run(`, "Volume": "/:/host"`), "Allow.Bind"},
		{lab, "", run(`, "Volume": "/usr/share:/s"`), "Allow.Bind"},
		{lab, "", run(`, "Memory": "16g"`), "Max.Memory"},
		{lab, "", run(`, "Pid": "host"`), "Allow.Pid"},

		{team, "", run(``), ""},
		{team, "", run(`, "Network": "team-db", "Volume": ["team-data:/d", "/srv/team/in/a:/in:ro"], "Publish": "127.0.0.1:8080:80"`), ""},
		{team, "", `{"Dockercmd": "run", "Image": "registry.example/team/app:1", "Options": {"Remove": true}}`, ""},
		{team, "", `{"Dockercmd": "run", "Image": "alpine", "Options": {"Remove": true}}`, "Allow.Image"},
		{team, "", run(`, "Network": "bridge"`), "Allow.Network"},
		{team, "", run(`, "Volume": "other:/d"`), "Allow.Volume"},
		{team, "", run(`, "Timeout": "3h"`), "Max.Timeout"},
		{team, "release", run(`, "Timeout": "3h"`), ""},
		{team, "", run(`, "Privileged": true`), "Allow.Privileged"},

		{hostile, "", run(``), ""},
		{hostile, "", run(`, "Tmpfs": "/t:size=8m", "Timeout": "1m"`), ""},
		{hostile, "", `{"Dockercmd": "stop", "Container": "c"}`, ""},
		{hostile, "", `{"Dockercmd": "exec", "Container": "c", "Cmd": ["true"]}`, "Allow.Command"},
		{hostile, "", `{"Dockercmd": "run", "Image": "busybox"}`, "Max.Timeout"},
		{hostile, "", run(`, "User": "0"`), "Fixed.User"},
		{hostile, "", run(`, "CapDrop": []`), "Fixed.CapDrop"},
		{hostile, "", run(`, "ReadOnly": false`), "Fixed.ReadOnly"},
		{hostile, "", run(`, "Tmpfs": "/t"`), "Max.Tmpfs"},
		{hostile, "", run(`, "Volume": "vol:/v"`), "Deny.Volume"},
		{hostile, "", run(`, "Mount": "type=volume,src=v,dst=/v"`), "Deny.Volume"},
		{hostile, "", run(`, "Env": "LD_PRELOAD=x"`), "Deny.Env"},
		{hostile, "", run(`, "Memory": "1g"`), "Max.Memory"},
		{hostile, "", run(`, "PidsLimit": -1`), "Max.PidsLimit"},
	} {
		_, err := policy.Check([]byte(tt.message), 0, policy.Sender{}, rules[tt.policy].For(tt.user))
		if tt.denied == "" && err != nil || tt.denied != "" && (err == nil || !strings.Contains(err.Error(), tt.denied)) {
			t.Errorf("policy %d, user %q: %s: %v, want %s", tt.policy+1, tt.user, tt.message, err, tt.denied)
		}
	}
}
