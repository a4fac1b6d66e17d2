package policy

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// deniedOptions are options of run and create that hand over the host.
var deniedOptions = []struct{ option, value, want string }{
	{"Privileged", `true`, "Options.Privileged: denied, because it gives all rights on the host"},
	{"Volume", `"/etc:/etc"`, `Options.Volume: "/etc": denied, because it is a path of the host`},
	{"Volume", `["data:/data","/:/host:ro"]`, `Options.Volume: "/:ro": denied, because it is a path of the host`},
	{"Mount", `"type=bind,src=/,dst=/host"`, `Options.Mount: "/": denied, because it is a path of the host`},
	{"Mount", `"type=volume,dst=/v,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/"`, `Options.Mount: "volume-driver=local": denied, because it mounts what the driver's options name, even a path of the host`},
	{"Mount", `"type=volume,dst=/v,volume-driver=nfs"`, `Options.Mount: "volume-driver=nfs": denied, because it mounts what the driver's options name, even a path of the host`},
	{"Mount", `"type=volume,\"src=v,volume-opt=device=/\",dst=/h"`, `Options.Mount: "v,volume-opt=device=/": denied, because it has a comma, after which Podman reads further options`},
	{"Mount", `"type=volume,src=vv,\"dst=/h,volume-opt=device=/\""`, `Options.Mount: "/h,volume-opt=device=/": denied, because it has a comma, after which Podman reads further options`},
	{"Volume", `"vv:/h:O,upperdir=/etc"`, `Options.Volume: "vv:/h:O,upperdir=/etc": denied, because it has options that can name paths of the host`},
	{"LogOpt", `["path=/etc/cron.d/x"]`, `Options.LogOpt: "path=/etc/cron.d/x": denied, because it stands without a LogDriver, such as "json-file" or "local", for which most are allowed`},
	{"LogOpt", `{"tag":"{{pad .ID 700000000 0}}"}`, `Options.LogOpt: "tag={{pad .ID 700000000 0}}": denied, because it stands without a LogDriver, such as "json-file" or "local", for which most are allowed`},
	{"LogDriver", `"json-file","LogOpt":{"tag":"{{pad .ID 700000000 0}}"}`, `Options.LogOpt: "tag={{pad .ID 700000000 0}}": denied, because it is a template, which the engine evaluates`},
	{"LogDriver", `"journald","LogOpt":"tag=a{{.Name}}"`, `Options.LogOpt: "tag=a{{.Name}}": denied, because it is a template, which the engine evaluates`},
	{"LogDriver", `"local","LogOpt":"labels={{.ID}}"`, `Options.LogOpt: "labels={{.ID}}": denied, because it is a template, which the engine evaluates`},
	{"LogDriver", `"json-file","LogOpt":"env-regex=(a{1000}){1000}"`, `Options.LogOpt: "env-regex=(a{1000}){1000}": denied, because it can name a file or a host`},
	{"LogDriver", `"journald","LogOpt":"labels-regex=.*"`, `Options.LogOpt: "labels-regex=.*": denied, because it can name a file or a host`},
	{"LogDriver", `"local","LogOpt":["max-size=1","max-file=1000000000"]`, `Options.LogOpt: "max-file=1000000000": denied, because it is not a number up to 1000`},
	{"LogDriver", `"json-file","LogOpt":"max-file=99999999999999999999"`, `Options.LogOpt: "max-file=99999999999999999999": denied, because it is not a number up to 1000`},
	{"LogDriver", `"json-file","LogOpt":["mode=non-blocking","max-buffer-size=100g"]`, `Options.LogOpt: "max-buffer-size=100g": denied, because it is not a size up to 67108864 bytes`},
	{"LogDriver", `"local","LogOpt":["mode=non-blocking","max-buffer-size=65m"]`, `Options.LogOpt: "max-buffer-size=65m": denied, because it is not a size up to 67108864 bytes`},
	{"LogDriver", `"local","LogOpt":["mode=non-blocking","max-buffer-size=8192p"]`, `Options.LogOpt: "max-buffer-size=8192p": denied, because it is not a size up to 67108864 bytes`},
	{"GroupAdd", `["33","keep-groups"]`, `Options.GroupAdd: "keep-groups": denied, because it makes Podman give the groups of its own process`},
	{"SecurityOpt", `"no-new-privileges=false"`, `Options.SecurityOpt: "no-new-privileges=false": denied, because it can turn off the container's confinement`},
	{"SecurityOpt", `["no-new-privileges","label=disable"]`, `Options.SecurityOpt: "label=disable": denied, because it can turn off the container's confinement`},
	{"Env", `["*"]`, "Options.Env: an item without =: denied, because it has no value, and Podman takes one from its own environment"},
	{"Env", `{"A": "secret:token"}`, `Options.Env: "token": denied, because it is a secret of the daemon's`},
	{"Secret", `["token"]`, `Options.Secret: "token": denied, because it is a secret of the daemon's`},
	{"VolumeDriver", `"nfs"`, `Options.VolumeDriver: "nfs": denied, because it mounts what it likes`},
	{"VolumesFrom", `"other"`, `Options.VolumesFrom: "other": denied, because it takes over the mounts of another container, and so paths of the host`},
	{"Network", `"host"`, `Options.Network: "host": denied, because it is the network of the host or of another container`},
	{"Network", `"container:other"`, `Options.Network: "container:other": denied, because it is the network of the host or of another container`},
	{"Network", `"ns:/proc/self/ns/net"`, `Options.Network: "ns:/proc/self/ns/net": denied, because it is the network of the host or of another container`},
	{"Network", `["backend","name=ns:/proc/1/ns/net"]`, `Options.Network: "ns:/proc/1/ns/net": denied, because it is the network of the host or of another container`},
	{"Network", `"name=backend,driver-opt=com.docker.network.endpoint.sysctls=x"`, `Options.Network: "com.docker.network.endpoint.sysctls=x": denied, because it can set a parameter of the kernel`},
	{"Network", `"slirp4netns"`, `Options.Network: "slirp4netns": denied, because it has Podman connect as the host`},
	{"Network", `["pasta"]`, `Options.Network: "pasta": denied, because it has Podman connect as the host`},
	{"Link", `"other:db"`, `Options.Link: "other:db": denied, because it shows the environment of another container`},
	{"LogOpt", `"syslog-address=unix:///run/x"`, `Options.LogOpt: "syslog-address=unix:///run/x": denied, because it stands without a LogDriver, such as "json-file" or "local", for which most are allowed`},
	{"Ipc", `"host"`, `Options.Ipc: "host": denied, because it is a namespace of the host or of another container`},
	{"Ipc", `"container:x"`, `Options.Ipc: "container:x": denied, because it is a namespace of the host or of another container`},
	{"Pid", `"host"`, `Options.Pid: "host": denied, because it is a namespace of the host or of another container`},
	{"Pid", `"container:x"`, `Options.Pid: "container:x": denied, because it is a namespace of the host or of another container`},
	{"Uts", `"host"`, `Options.Uts: "host": denied, because it is a namespace of the host or of another container`},
	{"Userns", `"host"`, `Options.Userns: "host": denied, because it is a namespace of the host or of another container`},
	{"Cgroupns", `"host"`, `Options.Cgroupns: "host": denied, because it is a namespace of the host or of another container`},
	{"Device", `"/dev/sda"`, `Options.Device: "/dev/sda": denied, because it gives access to a device of the host`},
	{"Device", `"vendor.com/class=name"`, `Options.Device: "vendor.com/class=name": denied, because it gives access to a device of the host`},
	{"DeviceCgroupRule", `"b *:* rwm"`, `Options.DeviceCgroupRule: "b *:* rwm": denied, because it gives access to devices of the host`},
	{"Gpus", `"all"`, `Options.Gpus: "all": denied, because it gives access to a device of the host`},
	{"CapAdd", `"SYS_ADMIN"`, `Options.CapAdd: "CAP_SYS_ADMIN": denied, because it gives rights of the host's root`},
	{"SecurityOpt", `"seccomp=unconfined"`, `Options.SecurityOpt: "seccomp=unconfined": denied, because it can turn off the container's confinement`},
	{"SecurityOpt", `"systempaths=unconfined"`, `Options.SecurityOpt: "systempaths=unconfined": denied, because it turns off the container's confinement`},
	{"Sysctl", `"net.ipv4.ip_forward=1"`, `Options.Sysctl: "net.ipv4.ip_forward=1": denied, because it sets a parameter of the kernel`},
	{"Runtime", `"other"`, `Options.Runtime: "other": denied, because it may not confine the container`},
	{"Annotation", `"a=b"`, `Options.Annotation: "a=b": denied, because it is for the runtime, which acts on it`},
	{"CgroupParent", `"/"`, `Options.CgroupParent: "/": denied, because it leaves the limits of the engine's own cgroup`},
	{"Publish", `"8080:80"`, `Options.Publish: "0.0.0.0:8080": denied, because it opens a port of the host to the network (write 127.0.0.1:...)`},
	{"Publish", `"0.0.0.0:8080:80"`, `Options.Publish: "0.0.0.0:8080": denied, because it opens a port of the host to the network (write 127.0.0.1:...)`},
	{"Publish", `"[::]:8080:80"`, `Options.Publish: "[::]:8080": denied, because it opens a port of the host to the network (write 127.0.0.1:...)`},
	{"Publish", `"192.168.0.1:8080:80/udp"`, `Options.Publish: "192.168.0.1:8080": denied, because it opens a port of the host to the network (write 127.0.0.1:...)`},
	{"Publish", `"127.0.0.1:2000-2100:2000-2100"`, "Options.Publish: 101 ports: denied, because the engine starts a process on the host for each; up to 100 are allowed, or Max.Publish of the file of --policy"},
	{"PublishAll", `true`, "Options.PublishAll: denied, because it opens ports of the host to the network"},
	{"Tmpfs", `"/t:bind"`, `Options.Tmpfs: "/t:bind": denied, because it has an option that no file system in memory needs`},
	{"Tmpfs", `["/t:size=1m", "/u:size=1m,shared"]`, `Options.Tmpfs: "/u:size=1m,shared": denied, because it has an option that no file system in memory needs`},
	{"OomKillDisable", `true`, "Options.OomKillDisable: denied, because it leaves the host without memory"},
	{"OomScoreAdj", `-500`, `Options.OomScoreAdj: "-500": denied, because it has the host's own programs killed in its place`},
	{"Restart", `"always"`, `Options.Restart: "always": denied, because it starts the container again without end (write on-failure:N, N up to 100)`},
	{"Restart", `"unless-stopped"`, `Options.Restart: "unless-stopped": denied, because it starts the container again without end (write on-failure:N, N up to 100)`},
	{"Restart", `"on-failure"`, `Options.Restart: "on-failure": denied, because it starts the container again without end (write on-failure:N, N up to 100)`},
	{"Restart", `"on-failure:1000"`, `Options.Restart: "on-failure:1000": denied, because it starts the container again without end (write on-failure:N, N up to 100)`},
	{"HealthInterval", `"1ms"`, `Options.HealthInterval: "1ms": denied, because it keeps the engine busy with checks`},
	{"HealthStartInterval", `"999ms"`, `Options.HealthStartInterval: "999ms": denied, because it keeps the engine busy with checks`},
	{"StopTimeout", `-1`, `Options.StopTimeout: "-1": denied, because it lets a stop take for ever`},
	{"StopTimeout", `100000`, `Options.StopTimeout: "100000": denied, because it lets a stop take for ever`},
	{"MemorySwap", `-1,"Memory":"64m"`, `Options.MemorySwap: "-1": denied, because it takes all of the host's swap`},
	{"Label", `"com.docker.compose.project=x"`, `Options.Label: "com.docker.compose.project": denied, because it belongs to another tool, which acts on it`},
	{"Label", `{"a": "b", "PODMAN_SYSTEMD_UNIT": "x"}`, `Options.Label: "PODMAN_SYSTEMD_UNIT": denied, because it belongs to another tool, which acts on it`},
	{"Label", `"io.podman.x"`, `Options.Label: "io.podman.x": denied, because it belongs to another tool, which acts on it`},
	{"Mount", `"type=volume,src=v,dst=/v,volume-label=com.docker.compose.project=x"`, `Options.Mount: "com.docker.compose.project": denied, because it belongs to another tool, which acts on it`},
	{"Mount", `"type=volume,src=/etc,dst=/v"`, `Options.Mount: "/etc": denied, because it is no name of a volume`},
	{"Volume", `"etc/passwd:/v"`, `Options.Volume: "etc/passwd": denied, because it is no name of a volume`},
	{"Volume", `" /etc:/v"`, `Options.Volume: " /etc": denied, because it is no name of a volume`},
	{"Ulimit", `"rtprio=99"`, `Options.Ulimit: "rtprio=99": denied, because it lets its programs go before the host's own`},
	{"Ulimit", `"nice=40"`, `Options.Ulimit: "nice=40": denied, because it lets its programs go before the host's own`},
	{"Mount", `"type=volume,src=v,dst=/v,volume-opt=o=bind"`, `Options.Mount: "volume-driver=": denied, because it mounts what the driver's options name, even a path of the host`},
	{"Mount", `"type=bind,src=/srv,dst=/v,bind-propagation=rshared"`, `Options.Mount: "/srv": denied, because it is a path of the host`},
	{"Mount", `"type=cluster,src=v,dst=/v"`, `Options.Mount: "type=cluster": denied, because it is of a type that can mount paths of the host`},
	{"LogDriver", `"syslog"`, `Options.LogDriver: "syslog": denied, because it sends output elsewhere as the host, or reads the host's files`},
}

// allows returns the error of a run or a create with these options.
func judged(r *Rules, verb, options string) error {
	_, err := Check([]byte(`{"Dockercmd":"`+verb+`","Image":"a","Options":{`+options+`}}`), 0, Sender{}, r)
	return err
}

// rules returns the rules for all users of a policy's file with that text.
func rules(t *testing.T, text string) *Rules {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p.For("")
}

// TestPolicyDenies: what hands over the host is refused, with its key and what to do. The operator can allow all, or what the
// error names.
func TestPolicyDenies(t *testing.T) {
	trust := rules(t, `{"Trust": true}`)
	named := regexp.MustCompile(`by Allow\.([A-Za-z]+) in the file of --policy$`)
	for _, d := range deniedOptions {
		options := `"` + d.option + `":` + d.value
		for _, verb := range []string{"run", "create"} {
			err := judged(new(Rules), verb, options)
			if _, ok := errors.AsType[*DeniedError](err); !ok || !strings.HasPrefix(err.Error(), d.want) {
				t.Errorf("%s %s: got %v, want %s", d.option, d.value, err, d.want)
				continue
			}
			if err := judged(trust, verb, options); err != nil {
				t.Errorf("%s %s: with trust: %v", d.option, d.value, err)
			}
			allow := map[string]string{}
			for range 4 { // one message may need several keys
				m := named.FindStringSubmatch(err.Error())
				if m == nil {
					break
				}
				allow[m[1]] = "*"
				text, _ := json.Marshal(map[string]any{"Allow": allow})
				if err = judged(rules(t, string(text)), verb, options); err == nil {
					break
				}
			}
			if err != nil && !strings.Contains(err.Error(), "Max.Publish") {
				t.Errorf("%s %s: with %v: %v", d.option, d.value, allow, err)
			}
		}
	}
	for _, allowed := range []string{
		`"Volume":["data:/data","/anonymous","data:/x:ro,z"]`, `"Env":["A=*","B="]`, `"Mount":"type=volume,src=data,dst=/data"`, `"Mount":"type=tmpfs,dst=/t"`,
		`"Publish":"127.0.0.1:8080:80"`, `"Publish":"[::1]:8080:80"`, `"Publish":"127.0.0.1:2000-2099:2000-2099"`, `"Network":"backend"`, `"Network":"none"`, `"Ipc":"private"`, `"Cgroupns":"private"`,
		`"CapDrop":"ALL"`, `"Memory":"64m"`, `"LogDriver":"local"`, `"LogDriver":"json-file","LogOpt":"max-size=1m"`, `"LogDriver":"json-file","LogOpt":["tag=web-1","max-file=5","labels=a,b"]`, `"LogDriver":"local","LogOpt":["mode=non-blocking","max-buffer-size=4m"]`,
		`"SecurityOpt":"no-new-privileges"`, `"SecurityOpt":"no-new-privileges=true"`, `"GroupAdd":["audio","33"]`, `"Privileged":false`, `"Tmpfs":"/run"`, `"ReadOnly":true`, `"VolumeDriver":"local"`,
	} {
		if err := judged(new(Rules), "run", allowed); err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
}

// TestEachKeyIsJudged: whoever adds a command or a key decides whether it can hand over the host. If it can, the policy
// denies it, with a row in TestPolicyDenies; else it is listed here.
func TestEachKeyIsJudged(t *testing.T) {
	harmless := map[string]string{
		"run": `AddHost Attach BlkioWeight BlkioWeightDevice CapDrop Cmd CpuPeriod CpuQuota CpuRtPeriod CpuRtRuntime CpuShares
			Constraint Cpus CpusetCpus CpusetMems Detach DeviceReadBps DeviceReadIops DeviceWriteBps DeviceWriteIops Dns DnsOption
			DnsSearch Domainname Entrypoint Expose HealthCmd HealthInterval HealthRetries HealthStartInterval
			HealthStartPeriod HealthTimeout Host Hostname Image Init Interactive Ip Ip6 Label LinkLocalIp MacAddress Memory
			MemoryReservation MemorySwap MemorySwappiness Name NetworkAlias NoHealthcheck OomKillDisable OomScoreAdj
			PidsLimit Platform Pull ReadOnly Remove Restart Retry ShmSize Stdin StdinBase64 StopSignal StopTimeout
			StorageOpt Stream Timeout Tmpfs Tty Ulimit User Workdir`,
		"exec":    `Container Job Cmd Stream Detach Env Interactive Stdin StdinBase64 Tty User Workdir`,
		"inspect": `Container Job`,
		"kill":    `Container Job Signal`,
		"logs":    `Container Job Stream Follow Since Until Tail Timestamps Details`,
		"pause":   `Container Job`,
		"pull":    `Constraint Host Image Platform Stream`,
		"remove":  `Container Job Volumes Force`,
		"rename":  `Container Job NewName`,
		"restart": `Container Job Time Signal`,
		"start":   `Container Job`,
		"stop":    `Container Job Time Signal`,
		"unpause": `Container Job`,
		"wait":    `Container Job`,
	}
	denied := map[string]bool{"exec Privileged": true}
	for _, d := range deniedOptions {
		denied["run "+d.option] = true
	}
	for _, c := range message.Docs() {
		verb := c.Name
		if verb == "create" {
			verb = "run" // which has the same options, and more
		}
		listed, ok := harmless[verb]
		if !ok {
			t.Errorf("command %s: not judged", c.Name)
		}
		for _, k := range c.Keys {
			if !denied[verb+" "+k.Name] && !slices.Contains(strings.Fields(listed), k.Name) {
				t.Errorf("%s, key %s: not judged: see asks", c.Name, k.Name)
			}
		}
	}
}

func TestPolicyDeniesExec(t *testing.T) {
	if err := new(Rules).check(&message.Exec{Privileged: true}, Sender{}); err == nil {
		t.Error("a privileged exec is allowed")
	}
}

// TestLoadPolicy: a policy's file is read strictly, and each fault is said with its place.
func TestLoadPolicy(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"Trust": true}`, ""},
		{`{}`, ""},
		{"\ufeff{}", ""},
		{`{"Trust": false, "Containers": "own", "Allow": {"CapAdd": "net_admin"}, "Max": {"Memory": "1g", "Cpus": 1.5}, "Users": {"ci": {"Trust": true}}}`, ""},
		{`{"Containers": "all"}`, `line 1, column 2: Containers: "all" is none of "own", "user", "any" and "label NAME=VALUE"`},
		{`{"Trust": "yes"}`, "line 1, column 2: Trust: expected true or false"},
		{`{"Trust": null}`, "line 1, column 2: Trust: expected true or false"},
		{"{\n  \"trust\": true}", `line 2, column 3: unknown key "trust"; did you mean "Trust"?`},
		{`{"Images": ["a"]}`, `line 1, column 2: unknown key "Images"; it is none of "Trust"`},
		{"{\"Allow\": {\n\t\"CapAd\": []}}", `line 2, column 2: unknown key "CapAd"; did you mean "CapAdd"?`},
		{"{\"Allow\": {\"CapAdd\": [\"x\",\n 1]}}", `line 2, column 2: expected a string`},
		{`{"Allow": {"CapAdd": {}}}`, `line 1, column 12: CapAdd: expected a string or an array of strings`},
		{`{"Allow": {"CapAdd": "a", "CapAdd": "b"}}`, `line 1, column 27: CapAdd: a second time`},
		{`{"Allow": {"Bind": "srv"}}`, `line 1, column 12: Bind: "srv" is not an absolute path`},
		{`{"Allow": {"Bind": "/srv/../etc"}}`, `Bind: "/srv/../etc" is not an absolute path`},
		{`{"Allow": {"Bind": ["/srv", "/srv/in:ro"]}}`, `"/srv/in:ro" is below "/srv", which containers may write`},
		{`{"Deny": {"Bind": "/etc:ro"}}`, `leave out :ro`},
		{"{\"Allow\": {\"Command\": [\"run\",\r\n\t\"rnu\"]}}", `line 2, column 2: Command: no command is called "rnu"`},
		{`{"Allow": {"Command": "pus"}}`, `Command: no command is called "pus"`},
		{`{"Max": {"Memory": "lots"}}`, `line 1, column 10: Memory: expected a size`},
		{`{"Max": {"Jobs": 0}}`, `Jobs: expected more than 0`},
		{`{"Max": {"Ram": 0}}`, `unknown key "Ram"`},
		{`{"Default": {"Memroy": "1m"}}`, `line 1, column 14: Options: unknown key "Memroy"; did you mean "Memory"?`},
		{`{"Default": {"Memory": []}}`, `line 1, column 14: Options.Memory: expected a number or a string`},
		{`{"Users": {"ci": {"Users": {}}}}`, `line 1, column 19: unknown key "Users"`},
		{`{"Users": {"": {}}}`, `line 1, column 12: a user without a name`},
		{`{"Containers": "label =x"}`, `"label =x" is none of`},
		{`{"Allow": {"Bind": "/srv/*:ro"}}`, `Bind: "/srv/*:ro" is not an absolute path without ., .. and *`},
		{`{"Allow": {"Bind": "/d:ro"}, "Users": {"u": {"Allow": {"Bind": ["/d"]}}}}`, ""},
		{`{"Allow": {"Bind": "/d/x:ro"}, "Users": {"u": {"Allow": {"Bind": ["/d"]}}}}`, `"/d/x:ro" is below "/d", which containers may write`},
		{`{"Fixed": {"User": "65534"}, "Default": {"User": "0"}}`, `line 1, column 42: User: both in Default and in Fixed`},
		{`{"Fixed": {"User": "65534"}, "Users": {"u": {"Default": {"User": "0"}}}}`, ""},
		{`{"Max": {"Retry": -1}}`, `Retry: expected 0 or more`},
		{`{"Users": ["ci"]}`, `line 1, column 2: Users: expected an object`},
		{`[]`, "line 1, column 1: expected an object"},
		{``, "not JSON"},
		{`{"Trust": true,}`, "line 1, column 15"},
	} {
		path := filepath.Join(t.TempDir(), "policy.json")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a policy that is not there is taken")
	}
}

// FuzzPolicy: no message makes the policy panic, whatever it asks for.
func FuzzPolicy(f *testing.F) {
	for _, s := range []string{`{"Mount":"type=bind,src=/,dst=/x"}`, `{"Volume":["/:/x","x:/y:ro"]}`, `{"Publish":"80-90:80-90","LogOpt":"tag={{.Name}}"}`, `{"SecurityOpt":["seccomp={}"],"Network":"container:x"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, options string) {
		Check([]byte(`{"Dockercmd":"run","Image":"a","Options":`+options+`}`), 0, Sender{}, new(Rules))
	})
}

// FuzzParse: no file makes the policy panic, and each fault has a place.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"Allow": {"Bind": ["/a:ro", "/b"]}, "Users": {"u": {"Max": {"Memory": null}}}}`, `{"Max": {"Cpus": 1.5}}`, `{"Default": {"User": "1"}}`, `[`, `{"Users": {"a": []}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse([]byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), "line ") && !strings.HasPrefix(err.Error(), "not JSON") && !strings.Contains(err.Error(), "at most") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		p.Explain(io.Discard)
		Check([]byte(`{"Dockercmd":"run","Image":"a","Options":{"Volume":"/a:/b","Memory":1}}`), 0, Sender{ReplyTo: "q"}, p.For("u"))
	})
}

func BenchmarkCheck(b *testing.B) {
	file, err := Parse([]byte(`{"Allow":{"Image":["lab/*","registry.example.com/*"],"Secret":["db"]},"Deny":{"User":["root"],"Network":["back*"]},
		"Max":{"Memory":"1g","Cpus":2,"PidsLimit":200,"Output":"1m"},"Default":{"User":"1000"}}`))
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"Dockercmd":"run","Options":{"Attach":["STDERR","STDOUT"],"Remove":true},"Image":"lab/bb:1","Cmd":["echo","hello world!"]}`)
	for _, bb := range []struct {
		name  string
		rules *Rules
	}{{"built in", new(Rules)}, {"file", file.For("")}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Check(body, 1<<20, Sender{}, bb.rules); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
