package policy

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// TestRules: a policy's file widens and narrows what messages may ask for, and an error names the rule.
func TestRules(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for _, tt := range []struct{ policy, message, want string }{ // want "": allowed
		// Allow replaces the built-in rule of its key.
		{`{"Allow": {"CapAdd": ["NET_ADMIN"]}}`, `run "CapAdd": "net_admin"`, ""},
		{`{"Allow": {"CapAdd": ["NET_ADMIN"]}}`, `run "CapAdd": ["CAP_NET_ADMIN", "SYS_ADMIN"]`, `Options.CapAdd: "CAP_SYS_ADMIN": denied, by Allow.CapAdd of the daemon's policy, which does not have that value`},
		{`{"Allow": {"CapAdd": "*"}, "Deny": {"CapAdd": "CAP_SYS_*"}}`, `run "CapAdd": "SYS_ADMIN"`, `by Deny.CapAdd (CAP_SYS_*)`},
		{`{"Allow": {"Privileged": "true"}}`, `run "Privileged": true`, ""},
		{`{"Allow": {"Network": "none"}}`, `run "Network": "none"`, ""},
		{`{"Allow": {"Network": "none"}}`, `run`, `Options.Network: "default"`},
		{`{"Allow": {"Network": "bridge"}}`, `run`, ""},
		{`{"Allow": {"Network": ["host", "jobs-*"]}}`, `run "Network": "host"`, ""},
		{`{"Allow": {"Network": ["host", "jobs-*"]}}`, `run "Network": "jobs-1"`, ""},
		{`{"Allow": {"Network": "*"}}`, `run "Network": "container:x"`, ""},
		{`{"Allow": {"Device": "/dev/fuse*"}}`, `run "Device": "/dev/fuse"`, ""},
		{`{"Allow": {"Device": "/dev/fuse*"}}`, `run "Device": "/dev/fuse/../sda"`, `Options.Device: "/dev/sda"`},
		{`{"Allow": {"Publish": "0.0.0.0:80*"}}`, `run "Publish": "8080:80"`, ""},
		{`{"Allow": {"Publish": "0.0.0.0:80*"}}`, `run "Publish": "127.0.0.1:9000:80"`, `Options.Publish: "127.0.0.1:9000"`},
		{`{"Deny": {"Env": "LD_*"}}`, `run "Env": ["A=b", "LD_PRELOAD=x"]`, `Options.Env: "LD_PRELOAD": denied, by Deny.Env (LD_*)`},
		{`{"Allow": {"User": ["65534"], "ReadOnly": "true"}}`, `run "User": "65534", "ReadOnly": true`, ""},
		{`{"Allow": {"User": ["65534"]}}`, `run`, `Options.User: denied, by Allow.User`},
		{`{"Allow": {"User": ["65534"]}}`, `exec "User": "0"`, `Options.User: "0"`},
		{`{"Allow": {"ReadOnly": "true"}}`, `run`, `Options.ReadOnly: "false"`},
		{`{"Allow": {"Command": ["run", "stop"]}}`, `exec`, `Dockercmd: "exec": denied, by Allow.Command`},
		{`{"Deny": {"Command": "pull"}}`, `pull`, `by Deny.Command (pull)`},
		{`{"Allow": {"LogDriver": "syslog", "LogOpt": "syslog-address=*"}}`, `run "LogDriver": "syslog", "LogOpt": "syslog-address=tcp://x"`, ""},
		{`{"Allow": {"Volume": "cache-*"}}`, `run "Volume": "cache-a:/c"`, ""},
		{`{"Allow": {"Volume": "cache-*"}}`, `run "Mount": "type=volume,src=other,dst=/c"`, `Options.Mount: "other"`},
		{`{"Deny": {"Volume": "*"}}`, `run "Volume": "/anonymous"`, `Options.Volume: a volume without a name: denied, by Deny.Volume (*)`},
		{`{"Deny": {"Volume": "*"}}`, `run "Mount": "type=volume,dst=/v"`, `Options.Mount: a volume without a name`},
		{`{"Allow": {"Volume": ["", "v-*"]}}`, `run "Volume": "/anonymous"`, ""},
		{`{"Allow": {"Restart": "always"}}`, `run "Restart": "always"`, ""},
		{`{"Allow": {"CapAdd": "NET_*"}}`, `run "CapAdd": "net_admin"`, ""},
		{`{"Allow": {"CapAdd": "*"}, "Deny": {"CapAdd": "sys_*"}}`, `run "CapAdd": "SYS_ADMIN"`, `by Deny.CapAdd (sys_*)`},
		{`{"Allow": {"CapAdd": "*"}, "Deny": {"CapAdd": "SYS_ADMIN"}}`, `run "CapAdd": "all"`, `by Deny.CapAdd (SYS_ADMIN)`}, // ALL has it
		{`{"Allow": {"CapAdd": "*"}, "Deny": {"CapAdd": "SYS_ADMIN"}}`, `run "CapAdd": "CHOWN"`, ""},
		{`{"Allow": {"Device": "*"}, "Deny": {"Device": "/dev/sd*"}}`, `run "Device": "/dev"`, `by Deny.Device (/dev/sd*)`}, // all devices below
		{`{"Allow": {"Device": "*"}, "Deny": {"Device": "/dev/sda"}}`, `run "Device": "/dev/fuse"`, ""},
		{`{"Allow": {"Publish": "127.0.0.1:80*"}}`, `run "Publish": "127.0.0.1:8000-8001:80"`, ""},
		{`{"Allow": {"Publish": "127.0.0.1:80*"}}`, `run "Publish": "127.0.0.1:8000-65000:80"`, `Options.Publish: "127.0.0.1:8100"`},
		{`{"Allow": {"Publish": "*"}, "Deny": {"Publish": "0.0.0.0:22"}}`, `run "Publish": "20-30:80"`, `by Deny.Publish (0.0.0.0:22)`},
		{`{"Allow": {"Publish": "*"}, "Deny": {"Publish": "0.0.0.0:22"}}`, `run "Publish": "::ffff:0.0.0.0:22:80"`, `by Deny.Publish (0.0.0.0:22)`},
		{`{}`, `run "Publish": "127.0.0.1:2000-2100:80"`, `Options.Publish: 101 ports`},
		{`{"Max": {"Publish": 99999999}}`, `run "Publish": ["127.0.0.1:1-65535:1", "127.0.0.1:1-65535:2"]`, `Options.Publish: 131070 ports`},
		{`{"Deny": {"Label": "traefik.*"}}`, `run "Mount": "type=volume,dst=/v,volume-label=traefik.enable=true"`, `by Deny.Label (traefik.*)`},
		{`{"Deny": {"Label": "traefik.*"}}`, `run "Label": "traefik.enable=true"`, `by Deny.Label (traefik.*)`},
		{`{"Allow": {"Host": "a-*", "Constraint": "zone==*"}}`, `run "Host": "a-1", "Constraint": "zone == eu"`, ""},
		{`{"Allow": {"Host": "a-*", "Constraint": "zone==*"}}`, `run`, ""},
		{`{"Allow": {"Host": "a-*"}}`, `create "Host": "b"`, `Options.Host: "b": denied, by Allow.Host of the daemon's policy, which does not have that value`},
		{`{"Deny": {"Constraint": "zone!=*"}}`, `run "Constraint": ["gpu==yes", "zone!=eu"]`, `Options.Constraint: "zone!=eu": denied, by Deny.Constraint (zone!=*)`},
		{`{"Fixed": {"Constraint": "zone==eu"}}`, `run "Constraint": "zone==us"`, `by Fixed.Constraint`},
		{`{"Fixed": {"Constraint": "zone==eu"}}`, `run "Host": "a"`, ""},
		{`{"Allow": {"Host": "a-*"}}`, `pull "Host": "a-1"`, ""},
		{`{"Allow": {"Host": "a-*"}}`, `pull "Host": "b"`, `Options.Host: "b": denied, by Allow.Host of the daemon's policy, which does not have that value`},
		{`{"Deny": {"Constraint": "zone!=*"}}`, `pull "Constraint": ["gpu==yes", "zone!=eu"]`, `Options.Constraint: "zone!=eu": denied, by Deny.Constraint (zone!=*)`},
		{`{"Default": {"Constraint": "zone!=eu"}, "Deny": {"Constraint": "zone!=*"}}`, `pull`, `by Deny.Constraint (zone!=*)`},
		{`{"Fixed": {"Constraint": "zone==eu"}}`, `pull "Constraint": "zone==us"`, `by Fixed.Constraint`},
		{`{"Fixed": {"Constraint": "zone==eu", "Memory": "64m"}}`, `pull "Host": "a"`, ""},

		// Paths of the host.
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Volume": "/srv/in/a:/a:ro"`, ""},
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Mount": "type=bind,src=/srv/in,dst=/a,ro"`, ""},
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Volume": "/srv/in:/a"`, `Options.Volume: "/srv/in"`},
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Volume": "/srv/inner:/a:ro"`, `"/srv/inner:ro"`},
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Volume": "/srv/in/../out:/a:ro"`, `"/srv/in/../out:ro"`},
		{`{"Allow": {"Bind": "/srv/out"}}`, `run "Volume": "/srv/out:/a"`, ""},
		{`{"Allow": {"Bind": "/srv/out"}}`, `run "Volume": "/srv/out/link:/a"`, `"/srv/out/link"`},
		{`{"Allow": {"Bind": ["/srv:ro", "/srv/out"]}}`, `run "Volume": "/srv/out/link:/a:ro"`, `"/srv/out/link:ro"`},
		{`{"Allow": {"Bind": ["/srv:ro", "/srv/out"]}}`, `run "Volume": ["/srv/out:/a", "/srv/x:/b:ro"]`, ""},
		{`{"Allow": {"Bind": "*"}, "Deny": {"Bind": "/etc"}}`, `run "Volume": "/etc/passwd:/a"`, `by Deny.Bind (/etc)`},
		{`{"Allow": {"Bind": "*"}, "Deny": {"Bind": "/etc"}}`, `run "Volume": "/x/../etc:/a"`, `by Deny.Bind (/etc)`},
		{`{"Allow": {"Bind": "*"}, "Deny": {"Bind": "/etc/ssl"}}`, `run "Volume": "/etc:/a:ro"`, `by Deny.Bind (/etc/ssl)`}, // which has it
		{`{"Allow": {"Bind": "*"}, "Deny": {"Bind": "/etc"}}`, `run "Mount": "type=bind,src=/,dst=/a"`, `by Deny.Bind (/etc)`},
		{`{"Allow": {"Bind": "*"}, "Deny": {"Bind": "/etc"}}`, `run "Volume": "/etcetera:/a"`, ""},
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Volume": "/srv/in/a:/a:ro,Z"`, `Options.Volume: "/srv/in/a:/a:ro,Z": denied, because it`},
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Mount": "type=bind,src=/srv/in/a:ro,dst=/a"`, `Options.Mount: "/srv/in/a:ro": denied, because it`},
		{`{"Allow": {"Bind": "/srv/in:ro"}}`, `run "Mount": "type=bind,src=/srv/in,dst=/a,ro,bind-recursive=writable"`, `Options.Mount: "bind-recursive=writable": denied, because it`},
		{`{"Allow": {"Bind": "*"}}`, `run "Volume": "/:/a"`, ""},
		{`{"Allow": {"Bind": "/"}}`, `run "Mount": "type=bind,src=/,dst=/a,bind-propagation=rshared"`, `"bind-propagation=rshared"`},

		// Images.
		{`{"Allow": {"Image": "alpine"}}`, `image alpine`, ""},
		{`{"Allow": {"Image": "alpine"}}`, `image docker.io/library/alpine:latest`, ""},
		{`{"Allow": {"Image": "docker.io/library/alpine:latest"}}`, `image index.docker.io/library/alpine`, ""},
		{`{"Allow": {"Image": "alpine"}}`, `image alpine:3`, `Image: "docker.io/library/alpine:3": denied, by Allow.Image`},
		{`{"Allow": {"Image": "alpine:*"}}`, `image alpine:3`, ""},
		{`{"Allow": {"Image": "alpine:*"}}`, `image team/alpine:3`, `"docker.io/team/alpine:3"`},
		{`{"Allow": {"Image": "alpine"}}`, `image alpine:latest@` + digest, `@sha256`},
		{`{"Allow": {"Image": "alpine@` + digest + `"}}`, `image docker.io/alpine:3@` + digest, ""},
		{`{"Allow": {"Image": "registry.example:5000/team/*"}}`, `image registry.example:5000/team/a/b:1`, ""},
		{`{"Allow": {"Image": "registry.example/*"}}`, `image registry.example.evil/x`, `"registry.example.evil/x:latest"`},
		{`{"Allow": {"Image": "docker.io/*"}}`, `image registry.example/x`, `"registry.example/x:latest"`},
		{`{"Allow": {"Image": "docker.io/*"}}`, `image team/x`, ""},
		{`{"Allow": {"Image": "docker.io/*"}}`, `image ` + strings.Repeat("ab", 32), `Image: "sha256:`},
		{`{"Allow": {"Image": "docker.io/*"}}`, `image c0ffee`, `Image: "sha256:c0ffee"`},
		{`{"Allow": {"Image": "sha256:c0ffee"}}`, `image c0ffee`, ""},
		{`{"Allow": {"Image": "*"}}`, `image c0ffee`, ""},
		{`{"Allow": {"Image": "sha256:c0*"}}`, `image c0ffee`, ""},
		{`{"Deny": {"Image": "sha256:*"}}`, `image c0ffee`, `by Deny.Image (sha256:*)`},
		{`{"Deny": {"Image": "sha256:*"}}`, `image alpine`, ""},
		{`{"Allow": {"Image": "a"}}`, `run "Mount": "type=image,src=evil,dst=/e"`, `Options.Mount: "docker.io/library/evil:latest"`},

		// Ceilings, and what a run gets that leaves the option out.
		{`{"Max": {"Memory": "64m"}}`, `run`, ""},
		{`{"Max": {"Memory": "64m"}}`, `run "Memory": "64m"`, ""},
		{`{"Max": {"Memory": "64m"}}`, `run "Memory": "65m"`, `Options.Memory: 68157440 (0 and less are no limit): denied, by Max.Memory (64m) of the daemon's policy`},
		{`{"Max": {"Memory": "64m"}}`, `run "Memory": 0`, `Options.Memory: 0`},
		{`{"Max": {"Memory": "64m"}}`, `run "Memory": "64m", "MemorySwap": "1g"`, `Options.MemorySwap`},
		{`{"Max": {"Memory": "64m"}, "Allow": {"MemorySwap": "*"}}`, `run "MemorySwap": -1`, `Options.MemorySwap`},
		{`{"Max": {"Cpus": 1.5}}`, `run "Cpus": 2, "CpuQuota": 1000`, `Options.Cpus or`},
		{`{"Max": {"Cpus": 1.5}}`, `run "Cpus": 1, "CpuQuota": -1`, `Options.Cpus or`}, // the engine takes the quota
		{`{"Max": {"Cpus": 1.5}}`, `run "Cpus": 2`, `by Max.Cpus (1.5)`},
		{`{"Max": {"Cpus": 1.5}}`, `run "CpuQuota": 200000`, `Options.Cpus or Options.CpuQuota: 2000000000`},
		{`{"Max": {"Cpus": 1.5}}`, `run "CpuQuota": 200000, "CpuPeriod": 200000`, ""},
		{`{"Max": {"Cpus": 1.5}}`, `run "CpuQuota": 9223372036854775807`, `Options.Cpus or`},
		{`{"Max": {"Cpus": 1.5}}`, `run "CpuQuota": 18446744073709552, "CpuPeriod": 1`, `Options.Cpus or`}, // times 1000 it is 384
		{`{"Max": {"Cpus": 1.5}}`, `run "CpuQuota": -1`, `Options.Cpus or Options.CpuQuota`},
		{`{"Max": {"Cpus": 1.5}}`, `run "CpuQuota": 18446744073710, "CpuPeriod": 1000`, `Options.Cpus or`}, // 2^64 and a little, in billionths
		{`{"Max": {"Cpus": 1.5}}`, `run "CpuQuota": 150001`, `Options.Cpus or`},
		{`{"Max": {"PidsLimit": 100}}`, `run "PidsLimit": -1`, `Options.PidsLimit: -1`},
		{`{"Max": {"PidsLimit": 100}}`, `run "PidsLimit": 99`, ""},
		{`{"Max": {"ShmSize": "1m"}}`, `run "ShmSize": "2m"`, `Options.ShmSize`},
		{`{"Max": {"Tmpfs": "10m"}}`, `run "Tmpfs": "/t:size=10m"`, ""},
		{`{"Max": {"Tmpfs": "10m"}}`, `run "Tmpfs": "/t"`, `a file system in memory at "/t": more than the ceiling, or no size`},
		{`{"Max": {"Tmpfs": "10m"}}`, `run "Tmpfs": "/t:size=1m,size=50%"`, `at "/t"`},
		{`{"Max": {"Tmpfs": "10m"}}`, `run "Tmpfs": ["/t:size=6m", "/u:size=6m"]`, `of 12582912 bytes together`},
		{`{"Max": {"Tmpfs": "10m"}}`, `run "Tmpfs": "/t:size=1m,nr_blocks=1000000"`, `at "/t"`},
		{`{"Max": {"Tmpfs": "10m"}}`, `run "Mount": "type=tmpfs,dst=/t"`, `at "/t"`},
		{`{"Max": {"LogSize": "10m"}}`, `run`, ""},
		{`{"Max": {"LogSize": "10m"}}`, `run "LogDriver": "json-file"`, `Options.LogOpt: max-size times max-file`},
		{`{"Max": {"LogSize": "10m"}}`, `run "LogDriver": "json-file", "LogOpt": ["max-size=5m", "max-file=2"]`, ""},
		{`{"Max": {"LogSize": "10m"}}`, `run "LogDriver": "json-file", "LogOpt": ["max-size=5m", "max-file=3"]`, `by Max.LogSize (10m)`},
		{`{"Max": {"LogSize": "10m"}}`, `run "LogDriver": "local"`, `Options.LogOpt`},
		{`{"Max": {"LogSize": "10m"}}`, `run "LogDriver": "none"`, ""},
		{`{"Max": {"LogSize": "10m"}}`, `run "LogDriver": "journald"`, `Options.LogOpt`},
		{`{"Max": {"LogSize": "10m"}, "Allow": {"LogOpt": "*"}}`, `run "LogDriver": "json-file", "LogOpt": ["max-size=1m", "max-file=99999999999"]`, `Options.LogOpt`},
		{`{"Max": {"Retry": 0}}`, `run "Remove": true, "Retry": {"Max": 1}`, `Options.Retry: Max 1: denied, by Max.Retry (0)`},
		{`{"Max": {"Publish": 2}}`, `run "Publish": "127.0.0.1:1-3:1-3"`, `Options.Publish: 3 ports: denied, by Max.Publish (2)`},
		{`{"Max": {"Timeout": "1m"}}`, `run "Remove": true, "Timeout": "61s"`, `Options.Timeout: 1m1s`},
		{`{"Max": {"Timeout": "1m"}}`, `run "Remove": true`, ""},
		{`{"Max": {"Timeout": "1m"}}`, `run`, `a run without Attach, Remove and reply_to`},
		{`{"Max": {"Timeout": "1m"}}`, `start`, `start, after which the container can run for any time`},
		{`{"Max": {"Timeout": "1m"}}`, `create`, `create, whose container can run for any time`},
		{`{"Max": {"Timeout": "1m"}}`, `stop`, ""},
		{`{"Max": {"Retry": 2}}`, `run "Remove": true, "Retry": {"Max": 3}`, `Options.Retry: Max 3: denied, by Max.Retry (2)`},
		{`{"Max": {"Message": 60}}`, `run "Env": "A=` + strings.Repeat("x", 60) + `"`, `bytes: denied, by Max.Message (60)`},

		// Defaults and what is fixed.
		{`{"Default": {"Network": "none"}, "Allow": {"Network": "none"}}`, `run`, ""},
		{`{"Default": {"Network": "none"}, "Allow": {"Network": "none"}}`, `run "Network": "x"`, `Options.Network: "x"`},
		{`{"Fixed": {"CapDrop": "ALL"}}`, `run "CapDrop": []`, `Options.CapDrop: denied, by Fixed.CapDrop of the daemon's policy; leave it out`},
		{`{"Fixed": {"CapDrop": "ALL"}}`, `create "CapDrop": []`, `Options.CapDrop: denied`},
		{`{"Fixed": {"CapDrop": "ALL"}}`, `run "\u0043apDrop": []`, `Options.CapDrop: denied, by Fixed.CapDrop`},
		{`{"Fixed": {"CapDrop": "ALL"}}`, `run`, ""},
		{`{"Default": {"Privileged": true}}`, `run`, `Options.Privileged: denied, because`}, // what the operator sets is judged too

		{`{"Trust": true, "Deny": {"Image": "*"}, "Max": {"Memory": "1m", "Timeout": "1s", "Message": 1}}`, `run "Memory": "1g", "Privileged": true`, ""},
	} {
		verb, options, _ := strings.Cut(tt.message, " ")
		head := `"Image": "a"`
		switch verb {
		case "image":
			verb, head, options = "run", fmt.Sprintf(`"Image": %q`, options), ""
		case "exec":
			head = `"Container": "c", "Cmd": ["true"]`
		case "start", "stop":
			head = `"Container": "c"`
		}
		body := fmt.Sprintf(`{"Dockercmd": %q, %s`, verb, head)
		if options != "" {
			body += `, "Options": {` + options + `}`
		}
		_, err := Check([]byte(body+"}"), 0, Sender{}, rules(t, tt.policy))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s\n%s\ngot  %v\nwant %s", tt.policy, body, err, tt.want)
		}
	}
}

// TestPresets: a run gets the policy's options, and its own go before defaults.
func TestPresets(t *testing.T) {
	r := rules(t, `{"Default": {"User": "65534", "Memory": "32m", "Remove": true}, "Fixed": {"ReadOnly": true}, "Max": {"Memory": "64m", "Cpus": "0.5", "PidsLimit": 50, "LogSize": "1m"}}`)
	decoded := func(body string) *message.Run {
		c, err := Check([]byte(body), 0, Sender{}, r)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return c.(*message.Run)
	}
	run := decoded(`{"Dockercmd": "run", "Image": "a"}`)
	h := run.Spec.HostConfig
	if run.Spec.User != "65534" || !run.Remove || h.Memory != 32<<20 || !h.ReadonlyRootfs || h.NanoCPUs != 5e8 || *h.PidsLimit != 50 || h.LogConfig.Type != "json-file" || h.LogConfig.Config["max-size"] != "1048576" {
		t.Errorf("a run gets %+v %+v", run.Spec, h)
	}
	run = decoded(`{"Dockercmd": "run", "Image": "a", "Options": {"User": "1", "Memory": "64m", "LogDriver": "none", "CpuQuota": 1000}}`)
	h = run.Spec.HostConfig
	if run.Spec.User != "1" || h.Memory != 64<<20 || h.LogConfig.Type != "none" || h.NanoCPUs != 0 {
		t.Errorf("a run with its own options gets %+v %+v", run.Spec, h)
	}
	c, err := Check([]byte(`{"Dockercmd": "create", "Image": "a"}`), 0, Sender{}, r)
	if err != nil || c.(*message.Create).Spec.User != "65534" {
		t.Errorf("create: %+v, %v", c, err)
	}
}

// TestUsers: a user's part begins as the part for all, and what it names counts for that user alone.
func TestUsers(t *testing.T) {
	p, err := Parse([]byte(`{"Allow": {"Image": "alpine", "CapAdd": "CHOWN"}, "Max": {"Memory": "64m"}, "Users": {
		"ci": {"Allow": {"Image": "*"}, "Max": {"Memory": "1g", "Jobs": 3}},
		"big": {"Max": {"Memory": null}, "Allow": {"Image": "*"}},
		"root": {"Trust": true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ user, message, want string }{
		{"", `"Image": "a"`, "by Allow.Image of the daemon's policy, which"},
		{"other", `"Image": "a"`, "by Allow.Image of the daemon's policy, which"},
		{"ci", `"Image": "a", "Options": {"CapAdd": "CHOWN", "Memory": "1g"}`, ""},
		{"ci", `"Image": "a", "Options": {"CapAdd": "SYS_ADMIN"}`, "by Allow.CapAdd of the daemon's policy for the user ci"},
		{"ci", `"Image": "a", "Options": {"Memory": "2g"}`, "by Max.Memory (1g) of the daemon's policy for the user ci"},
		{"big", `"Image": "a", "Options": {"Memory": "2g"}`, ""},
		{"big", `"Image": "a", "Options": {"Memory": 0}`, ""},
		{"root", `"Image": "a", "Options": {"Privileged": true, "Memory": "2g"}`, ""},
	} {
		_, err := Check([]byte(`{"Dockercmd": "run", `+tt.message+`}`), 0, Sender{}, p.For(tt.user))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %s: %v, want %s", tt.user, tt.message, err, tt.want)
		}
	}
	if n := p.For("ci").Jobs(); n != 3 {
		t.Errorf("%d jobs", n)
	}
	var b bytes.Buffer
	if err := p.Explain(&b); err != nil || !strings.Contains(b.String(), "  Image: only alpine\n") || !strings.Contains(b.String(), "For messages whose user_id is ci:\n") || !strings.Contains(b.String(), "  at most: Memory 1g\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// TestReplyTo: no answer goes to a queue that has the name of a daemon's.
func TestReplyTo(t *testing.T) {
	body := []byte(`{"Dockercmd": "stop", "Container": "c"}`)
	for queue, denied := range map[string]bool{"answers": false, "jobs.dead": true, "jobs.control": true, "jobs.retry.10": true, "jobs.retry.ten": false, "amq.rabbitmq.reply-to": false} {
		if _, err := Check(body, 0, Sender{ReplyTo: queue, Replies: true}, new(Rules)); (err != nil) != denied {
			t.Errorf("%s: %v", queue, err)
		}
	}
	r := rules(t, `{"Allow": {"ReplyTo": "answers-*"}}`)
	if _, err := Check(body, 0, Sender{ReplyTo: "other", Replies: true}, r); err == nil || !strings.Contains(err.Error(), `reply_to: "other": denied, by Allow.ReplyTo`) {
		t.Errorf("got %v", err)
	}
	if _, err := Check(body, 0, Sender{ReplyTo: "answers-1", Replies: true}, r); err != nil {
		t.Error(err)
	}
}
