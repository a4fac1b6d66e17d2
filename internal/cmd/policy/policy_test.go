package policy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// deniedOptions are options of run and create that hand over the host.
var deniedOptions = []struct{ option, value, want string }{
	{"Privileged", `true`, "Options.Privileged: denied"},
	{"Volume", `"/etc:/etc"`, `Options.Volume: the host's path "/etc:/etc": denied`},
	{"Volume", `["data:/data","/:/host:ro"]`, `Options.Volume: the host's path "/:/host:ro": denied`},
	{"Mount", `"type=bind,src=/,dst=/host"`, `Options.Mount: a mount of type "bind": denied`},
	{"Mount", `"type=volume,dst=/v,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/"`, "Options.Mount: volume-driver and volume-opt: denied"},
	{"Mount", `"type=volume,dst=/v,volume-driver=nfs"`, "Options.Mount: volume-driver"},
	{"Mount", `"type=volume,\"src=v,volume-opt=device=/\",dst=/h"`, `Options.Mount: the comma in "v,volume-opt=device=/": denied`},
	{"Mount", `"type=volume,src=vv,\"dst=/h,volume-opt=device=/\""`, "Options.Mount: the comma in "},
	{"Volume", `"vv:/h:O,upperdir=/etc"`, `Options.Volume: the options of "vv:/h:O,upperdir=/etc": denied`},
	{"LogOpt", `["path=/etc/cron.d/x"]`, "Options.LogOpt"},
	{"LogOpt", `{"tag":"{{pad .ID 700000000 0}}"}`, `Options.LogOpt without a LogDriver, such as "json-file" or "local", for which most are allowed: denied`},
	{"LogDriver", `"json-file","LogOpt":{"tag":"{{pad .ID 700000000 0}}"}`, `Options.LogOpt: tag: "{{pad .ID 700000000 0}}" is a template, which the engine evaluates: denied`},
	{"LogDriver", `"journald","LogOpt":"tag=a{{.Name}}"`, `Options.LogOpt: tag: "a{{.Name}}" is a template`},
	{"LogDriver", `"local","LogOpt":"labels={{.ID}}"`, `Options.LogOpt: labels: "{{.ID}}" is a template`},
	{"LogDriver", `"json-file","LogOpt":"env-regex=(a{1000}){1000}"`, `Options.LogOpt: "env-regex": denied`},
	{"LogDriver", `"journald","LogOpt":"labels-regex=.*"`, `Options.LogOpt: "labels-regex": denied`},
	{"LogDriver", `"local","LogOpt":["max-size=1","max-file=1000000000"]`, `Options.LogOpt: max-file: "1000000000" is not a number up to 1000: denied`},
	{"LogDriver", `"json-file","LogOpt":"max-file=99999999999999999999"`, `Options.LogOpt: max-file: "99999999999999999999" is not`},
	{"LogDriver", `"json-file","LogOpt":["mode=non-blocking","max-buffer-size=100g"]`, `Options.LogOpt: max-buffer-size: "100g" is more than 67108864 bytes: denied`},
	{"LogDriver", `"local","LogOpt":["mode=non-blocking","max-buffer-size=65m"]`, `Options.LogOpt: max-buffer-size: "65m" is more`},
	{"GroupAdd", `["33","keep-groups"]`, "Options.GroupAdd: denied"},
	{"SecurityOpt", `"no-new-privileges=false"`, "Options.SecurityOpt: denied"},
	{"SecurityOpt", `["no-new-privileges","label=disable"]`, "Options.SecurityOpt: denied"},
	{"Env", `["*"]`, `Options.Env: "*" without a value: denied`},
	{"VolumeDriver", `"nfs"`, "Options.VolumeDriver: denied"},
	{"VolumesFrom", `"other"`, "Options.VolumesFrom: denied"},
	{"Network", `"host"`, "Options.Network: denied"},
	{"Network", `"container:other"`, "Options.Network: denied"},
	{"Network", `"ns:/proc/self/ns/net"`, "Options.Network: denied"},
	{"Network", `["backend","name=ns:/proc/1/ns/net"]`, "Options.Network: denied"},
	{"Network", `"name=backend,driver-opt=com.docker.network.endpoint.sysctls=x"`, "Options.Network: denied"},
	{"Link", `"other:db"`, "Options.Link: denied"},
	{"LogOpt", `"syslog-address=unix:///run/x"`, `Options.LogOpt without a LogDriver, such as "json-file" or "local", for which most are allowed: denied`},
	{"Ipc", `"host"`, "Options.Ipc: denied"},
	{"Ipc", `"container:x"`, "Options.Ipc: denied"},
	{"Pid", `"host"`, "Options.Pid: denied"},
	{"Pid", `"container:x"`, "Options.Pid: denied"},
	{"Uts", `"host"`, "Options.Uts: denied"},
	{"Userns", `"host"`, "Options.Userns: denied"},
	{"Cgroupns", `"host"`, "Options.Cgroupns: denied"},
	{"Device", `"/dev/sda"`, "Options.Device: denied"},
	{"Device", `"vendor.com/class=name"`, "Options.Device or Options.Gpus: denied"},
	{"DeviceCgroupRule", `"b *:* rwm"`, "Options.DeviceCgroupRule: denied"},
	{"Gpus", `"all"`, "Options.Device or Options.Gpus: denied"},
	{"CapAdd", `"SYS_ADMIN"`, "Options.CapAdd: denied"},
	{"SecurityOpt", `"seccomp=unconfined"`, "Options.SecurityOpt: denied"},
	{"SecurityOpt", `"systempaths=unconfined"`, "Options.SecurityOpt: denied"},
	{"Sysctl", `"net.ipv4.ip_forward=1"`, "Options.Sysctl: denied"},
	{"Runtime", `"other"`, "Options.Runtime: denied"},
	{"Annotation", `"a=b"`, "Options.Annotation: denied"},
	{"CgroupParent", `"/"`, "Options.CgroupParent: denied"},
	{"Publish", `"8080:80"`, "Options.Publish: port 80/tcp on other addresses"},
	{"Publish", `"0.0.0.0:8080:80"`, "Options.Publish: port 80/tcp on other addresses"},
	{"Publish", `"[::]:8080:80"`, "Options.Publish: port 80/tcp on other addresses"},
	{"Publish", `"192.168.0.1:8080:80/udp"`, "Options.Publish: port 80/udp on other addresses"},
	{"Publish", `"127.0.0.1:2000-2100:2000-2100"`, "Options.Publish: more than 100 ports"},
	{"PublishAll", `true`, "Options.PublishAll: denied"},
	{"LogDriver", `"syslog"`, "Options.LogDriver: denied"},
}

// TestPolicyDenies: what hands over the host is refused, with its key and what to do; the operator can
// allow it.
func TestPolicyDenies(t *testing.T) {
	trust := &Policy{Trust: true}
	for _, d := range deniedOptions {
		for _, verb := range []string{"run", "create"} {
			c, err := message.Decode([]byte(`{"Dockercmd":"`+verb+`","Image":"a","Options":{"`+d.option+`":`+d.value+`}}`), 0, false)
			if err != nil {
				t.Errorf("%s %s: %v", d.option, d.value, err)
				continue
			}
			err = (*Policy)(nil).check(c)
			if err == nil {
				t.Errorf("%s: %s %s is allowed", verb, d.option, d.value)
				continue
			}
			if text := (&DeniedError{Err: err}).Error(); !strings.HasPrefix(text, d.want) || !strings.Contains(text, "--policy") {
				t.Errorf("%s %s: got %s, want %s", d.option, d.value, text, d.want)
			}
			if err := trust.check(c); err != nil {
				t.Errorf("%s %s: with trust: %v", d.option, d.value, err)
			}
		}
	}
	for _, allowed := range []string{
		`"Volume":["data:/data","/anonymous","data:/x:ro,z"]`, `"Env":["A=*","B="]`, `"Mount":"type=volume,src=data,dst=/data"`, `"Mount":"type=tmpfs,dst=/t"`,
		`"Publish":"127.0.0.1:8080:80"`, `"Publish":"[::1]:8080:80"`, `"Publish":"127.0.0.1:2000-2099:2000-2099"`, `"Network":"backend"`, `"Network":"none"`, `"Ipc":"private"`, `"Cgroupns":"private"`,
		`"CapDrop":"ALL"`, `"Memory":"64m"`, `"LogDriver":"local"`, `"LogDriver":"json-file","LogOpt":"max-size=1m"`, `"LogDriver":"json-file","LogOpt":["tag=web-1","max-file=5","labels=a,b"]`, `"LogDriver":"local","LogOpt":["mode=non-blocking","max-buffer-size=4m"]`,
		`"SecurityOpt":"no-new-privileges"`, `"SecurityOpt":"no-new-privileges=true"`, `"GroupAdd":["audio","33"]`, `"Privileged":false`, `"Tmpfs":"/run"`, `"ReadOnly":true`, `"VolumeDriver":"local"`,
	} {
		c, err := message.Decode([]byte(`{"Dockercmd":"run","Image":"a","Options":{`+allowed+`}}`), 0, false)
		if err == nil {
			err = (*Policy)(nil).check(c)
		}
		if err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
}

// TestEachKeyIsJudged: whoever adds a command or a key decides whether it can hand over the host. If it can, the policy
// denies it, with a row in TestPolicyDenies; else it is listed here.
func TestEachKeyIsJudged(t *testing.T) {
	harmless := map[string]string{
		"run": `AddHost Attach BlkioWeight BlkioWeightDevice CapDrop Cmd CpuPeriod CpuQuota CpuRtPeriod CpuRtRuntime CpuShares
			Cpus CpusetCpus CpusetMems Detach DeviceReadBps DeviceReadIops DeviceWriteBps DeviceWriteIops Dns DnsOption
			DnsSearch Domainname Entrypoint Expose HealthCmd HealthInterval HealthRetries HealthStartInterval
			HealthStartPeriod HealthTimeout Hostname Image Init Interactive Ip Ip6 Label LinkLocalIp MacAddress Memory
			MemoryReservation MemorySwap MemorySwappiness Name NetworkAlias NoHealthcheck OomKillDisable OomScoreAdj
			PidsLimit Platform Pull ReadOnly Remove Restart Retry ShmSize Stdin StdinBase64 StopSignal StopTimeout
			StorageOpt Stream Timeout Tmpfs Tty Ulimit User Workdir`,
		"exec":    `Container Job Cmd Stream Detach Env Interactive Stdin StdinBase64 Tty User Workdir`,
		"inspect": `Container Job`,
		"kill":    `Container Job Signal`,
		"logs":    `Container Job Stream Follow Since Until Tail Timestamps Details`,
		"pause":   `Container Job`,
		"pull":    `Image Platform`,
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
				t.Errorf("%s, key %s: not judged: see handsOver", c.Name, k.Name)
			}
		}
	}
}

func TestPolicyDeniesExec(t *testing.T) {
	if err := (*Policy)(nil).check(&message.Exec{Privileged: true}); err == nil {
		t.Error("a privileged exec is allowed")
	}
}

func TestLoadPolicy(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		trust, any bool
	}{
		{`{"Trust": true}`, "", true, true},
		{`{}`, "", false, false},
		{`{"Trust": false}`, "", false, false},
		{`{"Containers": "any"}`, "", false, true},
		{`{"Containers": "all"}`, `Containers: "all"; the only value is "any"`, false, false},
		{`{"Trust": "yes"}`, "Trust: expected true or false, got a string", false, false},
		{`{"trust": true}`, `unknown key "trust"; did you mean "Trust"?`, false, false},
		{`{"Images": ["a"]}`, `unknown key "Images"; a policy takes "Trust"`, false, false},
		{`[]`, "expected an object, got an array", false, false},
		{``, "not JSON", false, false},
	} {
		path := filepath.Join(t.TempDir(), "policy.json")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Load(path)
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
			}
		case err != nil || p.Trusts() != tt.trust || p.AnyContainer() != tt.any:
			t.Errorf("%s: %+v, %v", tt.text, p, err)
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
		Check([]byte(`{"Dockercmd":"run","Image":"a","Options":`+options+`}`), 0, false, nil)
	})
}
