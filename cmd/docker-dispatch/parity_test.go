package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// A parity is one option, as the docker CLI is given it and as a message is.
type parity struct {
	option  string
	value   string   // JSON
	args    []string // of docker create
	also    string   // further options of the message
	api     string   // the version that it needs; empty: any
	older   bool     // we do it with older versions too, in another way
	run     bool     // by run, attached
	engine  bool     // on a real engine, too, as are those of run and those that need a version
	refused bool     // by the engine
	ours    bool     // what the engine is asked for differs, and should
}

// parities has a row at least for each option that a container can be created with. @net, @SECOND and @OTHER
// stand for networks and a container of the test, @DIR for a folder.
var parities = []parity{
	{option: "Entrypoint", value: `"/bin/echo"`, args: []string{"--entrypoint", "/bin/echo"}},
	{option: "Entrypoint", value: `""`, args: []string{"--entrypoint", ""}},
	{option: "Pull", value: `"never"`, args: []string{"--pull", "never"}},
	{option: "Platform", value: `"linux/amd64"`, args: []string{"--platform", "linux/amd64"}},
	{option: "Platform", value: `"linux"`, args: []string{"--platform", "linux"}, api: "1.41", ours: true}, // the CLI adds its processor
	{option: "Env", value: `["A=b","EMPTY=","NOT_SET","SPACE=a b"]`, args: []string{"-e", "A=b", "-e", "EMPTY=", "-e", "NOT_SET", "-e", "SPACE=a b"}, engine: true},
	{option: "Env", value: `{"A":"b","C":"d=e"}`, args: []string{"-e", "A=b", "-e", "C=d=e"}},
	{option: "Env", value: `["A=1","B=2","A=3"]`, args: []string{"-e", "A=1", "-e", "B=2", "-e", "A=3"}},
	{option: "Env", value: `["A=1","A=","A=2","B"]`, args: []string{"-e", "A=1", "-e", "A=", "-e", "A=2", "-e", "B"}},
	{option: "User", value: `"1000:100"`, args: []string{"-u", "1000:100"}},
	{option: "GroupAdd", value: `["audio","33"]`, args: []string{"--group-add", "audio", "--group-add", "33"}},
	{option: "Workdir", value: `"/tmp"`, args: []string{"-w", "/tmp"}},
	{option: "Interactive", value: `true`, args: []string{"-i"}},
	{option: "Tty", value: `true`, args: []string{"-t"}},
	{option: "Init", value: `true`, args: []string{"--init"}},
	{option: "Init", value: `false`, args: []string{"--init=false"}},
	{option: "StopSignal", value: `"SIGINT"`, args: []string{"--stop-signal", "SIGINT"}},
	{option: "StopTimeout", value: `7`, args: []string{"--stop-timeout", "7"}},
	{option: "StopTimeout", value: `0`, args: []string{"--stop-timeout", "0"}},
	{option: "Restart", value: `"on-failure:3"`, args: []string{"--restart", "on-failure:3"}, engine: true},
	{option: "Restart", value: `"unless-stopped"`, args: []string{"--restart", "unless-stopped"}},
	{option: "Label", value: `["a=b","c","d=e=f"]`, args: []string{"-l", "a=b", "-l", "c", "-l", "d=e=f"}},
	{option: "Annotation", value: `{"a.b/c":"d"}`, args: []string{"--annotation", "a.b/c=d"}, api: "1.43"},

	{option: "Memory", value: `"64m"`, args: []string{"-m", "64m"}},
	{option: "Memory", value: `67108864`, args: []string{"-m", "67108864"}},
	{option: "MemoryReservation", value: `"32m"`, args: []string{"--memory-reservation", "32m"}},
	{option: "MemorySwap", value: `"-1"`, args: []string{"-m", "64m", "--memory-swap", "-1"}, also: `,"Memory":"64m"`},
	{option: "MemorySwap", value: `"100m"`, args: []string{"-m", "64m", "--memory-swap", "100m"}, also: `,"Memory":"64m"`},
	{option: "MemorySwappiness", value: `0`, args: []string{"--memory-swappiness", "0"}},
	{option: "MemorySwappiness", value: `60`, args: []string{"--memory-swappiness", "60"}},
	{option: "ShmSize", value: `"96m"`, args: []string{"--shm-size", "96m"}},
	{option: "Cpus", value: `1.5`, args: []string{"--cpus", "1.5"}, engine: true},
	{option: "CpuShares", value: `512`, args: []string{"-c", "512"}},
	{option: "CpuPeriod", value: `50000`, args: []string{"--cpu-period", "50000"}},
	{option: "CpuQuota", value: `20000`, args: []string{"--cpu-quota", "20000"}},
	{option: "CpuRtPeriod", value: `1000000`, args: []string{"--cpu-rt-period", "1000000"}},
	{option: "CpuRtRuntime", value: `950000`, args: []string{"--cpu-rt-runtime", "950000"}},
	{option: "CpusetCpus", value: `"0,1"`, args: []string{"--cpuset-cpus", "0,1"}},
	{option: "CpusetMems", value: `"0"`, args: []string{"--cpuset-mems", "0"}},
	{option: "PidsLimit", value: `100`, args: []string{"--pids-limit", "100"}},
	{option: "PidsLimit", value: `"-1"`, args: []string{"--pids-limit", "-1"}},
	{option: "Ulimit", value: `["nofile=1024:2048","core=0"]`, args: []string{"--ulimit", "nofile=1024:2048", "--ulimit", "core=0"}},
	{option: "BlkioWeight", value: `300`, args: []string{"--blkio-weight", "300"}},
	{option: "BlkioWeightDevice", value: `"/dev/null:300"`, args: []string{"--blkio-weight-device", "/dev/null:300"}},
	{option: "DeviceReadBps", value: `"/dev/null:1mb"`, args: []string{"--device-read-bps", "/dev/null:1mb"}},
	{option: "DeviceWriteBps", value: `"/dev/null:1gb"`, args: []string{"--device-write-bps", "/dev/null:1gb"}},
	{option: "DeviceReadIops", value: `"/dev/null:1000"`, args: []string{"--device-read-iops", "/dev/null:1000"}},
	{option: "DeviceWriteIops", value: `"/dev/null:1000"`, args: []string{"--device-write-iops", "/dev/null:1000"}},
	{option: "OomKillDisable", value: `true`, args: []string{"--oom-kill-disable"}},
	{option: "OomScoreAdj", value: `500`, args: []string{"--oom-score-adj", "500"}},

	{option: "Volume", value: `["@DIR:/data:ro","/anonymous","parity-named:/named"]`, args: []string{"-v", "@DIR:/data:ro", "-v", "/anonymous", "-v", "parity-named:/named"}, engine: true},
	{option: "Mount", value: `["type=bind,src=@DIR,dst=/data,ro","type=volume,dst=/v,volume-nocopy","type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770"]`,
		args: []string{"--mount", "type=bind,src=@DIR,dst=/data,ro", "--mount", "type=volume,dst=/v,volume-nocopy", "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770"}, engine: true},
	{option: "Mount", value: `"type=volume,src=parity-named,dst=/v,volume-subpath=a"`, args: []string{"--mount", "type=volume,src=parity-named,dst=/v,volume-subpath=a"}, api: "1.45"},
	{option: "Mount", value: `"type=bind,src=@DIR,dst=/data,ro,bind-recursive=writable"`, args: []string{"--mount", "type=bind,src=@DIR,dst=/data,ro,bind-recursive=writable"}, api: "1.44"},
	{option: "Mount", value: `"type=image,src=busybox,dst=/image"`, args: []string{"--mount", "type=image,src=busybox,dst=/image"}, api: "1.48"},
	{option: "Network", value: `"name=@net,gw-priority=5"`, args: []string{"--network", "name=@net,gw-priority=5"}, api: "1.48"},
	{option: "Tmpfs", value: `["/a","/b:size=1m,mode=1777"]`, args: []string{"--tmpfs", "/a", "--tmpfs", "/b:size=1m,mode=1777"}},
	{option: "VolumesFrom", value: `"@OTHER:ro"`, args: []string{"--volumes-from", "@OTHER:ro"}},
	{option: "VolumeDriver", value: `"local"`, args: []string{"--volume-driver", "local"}},
	{option: "ReadOnly", value: `true`, args: []string{"--read-only"}},
	{option: "StorageOpt", value: `"size=1G"`, args: []string{"--storage-opt", "size=1G"}},

	{option: "Network", value: `"none"`, args: []string{"--network", "none"}},
	{option: "Network", value: `"host"`, args: []string{"--network", "host"}},
	{option: "Network", value: `"container:@OTHER"`, args: []string{"--network", "container:@OTHER"}, engine: true},
	{option: "Network", value: `"@net"`, args: []string{"--network", "@net"}},
	{option: "Network", value: `"name=@net,alias=db,alias=base,ip=10.99.7.9"`, args: []string{"--network", "name=@net,alias=db,alias=base,ip=10.99.7.9"}, engine: true},
	{option: "Network", value: `["@net","@SECOND"]`, args: []string{"--network", "@net", "--network", "@SECOND"}, api: "1.44", older: true},
	{option: "NetworkAlias", value: `["db","base"]`, args: []string{"--network", "@net", "--network-alias", "db", "--network-alias", "base"}, also: `,"Network":"@net"`},
	{option: "Ip", value: `"10.99.7.8"`, args: []string{"--network", "@net", "--ip", "10.99.7.8"}, also: `,"Network":"@net"`},
	{option: "Ip6", value: `"fd00:99::8"`, args: []string{"--network", "@net", "--ip6", "fd00:99::8"}, also: `,"Network":"@net"`},
	{option: "LinkLocalIp", value: `"169.254.1.2"`, args: []string{"--network", "@net", "--link-local-ip", "169.254.1.2"}, also: `,"Network":"@net"`},
	{option: "MacAddress", value: `"92:d0:c6:0a:29:33"`, args: []string{"--mac-address", "92:d0:c6:0a:29:33"}, api: "1.44", older: true},
	{option: "MacAddress", value: `"92:d0:c6:0a:29:34"`, args: []string{"--network", "@net", "--mac-address", "92:d0:c6:0a:29:34"}, also: `,"Network":"@net"`, api: "1.44", older: true},
	{option: "Publish", value: `["127.0.0.1:8080:80/tcp","9000-9001:90-91/udp","443"]`, args: []string{"-p", "127.0.0.1:8080:80/tcp", "-p", "9000-9001:90-91/udp", "-p", "443"}, engine: true},
	{option: "PublishAll", value: `true`, args: []string{"-P"}},
	{option: "Expose", value: `["7000-7002","80/udp"]`, args: []string{"--expose", "7000-7002", "--expose", "80/udp"}},
	{option: "Hostname", value: `"web.example"`, args: []string{"-h", "web.example"}},
	{option: "Domainname", value: `"example"`, args: []string{"--domainname", "example"}},
	{option: "Dns", value: `["10.0.0.1","fd00::1"]`, args: []string{"--dns", "10.0.0.1", "--dns", "fd00::1"}},
	{option: "DnsOption", value: `["ndots:2"]`, args: []string{"--dns-option", "ndots:2"}},
	{option: "DnsSearch", value: `["example.com","."]`, args: []string{"--dns-search", "example.com", "--dns-search", "."}},
	{option: "AddHost", value: `["db:10.0.0.2","up=host-gateway","six:[::1]"]`, args: []string{"--add-host", "db:10.0.0.2", "--add-host", "up=host-gateway", "--add-host", "six:[::1]"}, engine: true},
	{option: "Link", value: `"@OTHER:db"`, args: []string{"--link", "@OTHER:db"}, engine: true},

	{option: "Privileged", value: `true`, args: []string{"--privileged"}},
	{option: "CapAdd", value: `["NET_ADMIN","cap_sys_time"]`, args: []string{"--cap-add", "NET_ADMIN", "--cap-add", "cap_sys_time"}},
	{option: "CapAdd", value: `["ALL","SYS_TIME"]`, args: []string{"--cap-add", "ALL", "--cap-add", "SYS_TIME"}},
	{option: "CapDrop", value: `"ALL"`, args: []string{"--cap-drop", "ALL"}},
	{option: "CapDrop", value: `["MKNOD","net_raw","MKNOD"]`, args: []string{"--cap-drop", "MKNOD", "--cap-drop", "net_raw", "--cap-drop", "MKNOD", "--cap-add", "NET_RAW"}, also: `,"CapAdd":"NET_RAW"`},
	{option: "SecurityOpt", value: `["no-new-privileges","seccomp=unconfined","label=disable"]`, args: []string{"--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "--security-opt", "label=disable"}, engine: true},
	{option: "SecurityOpt", value: `"systempaths=unconfined"`, args: []string{"--security-opt", "systempaths=unconfined"}},
	{option: "Device", value: `["/dev/null:/dev/nothing:r","/dev/zero"]`, args: []string{"--device", "/dev/null:/dev/nothing:r", "--device", "/dev/zero"}},
	{option: "DeviceCgroupRule", value: `"c 1:3 rwm"`, args: []string{"--device-cgroup-rule", "c 1:3 rwm"}},
	{option: "Gpus", value: `"all"`, args: []string{"--gpus", "all"}},
	{option: "Gpus", value: `2`, args: []string{"--gpus", "2"}},
	{option: "Sysctl", value: `{"net.ipv4.ip_forward":"1"}`, args: []string{"--sysctl", "net.ipv4.ip_forward=1"}},
	{option: "Ipc", value: `"shareable"`, args: []string{"--ipc", "shareable"}},
	{option: "Pid", value: `"host"`, args: []string{"--pid", "host"}},
	{option: "Uts", value: `"host"`, args: []string{"--uts", "host"}},
	{option: "Userns", value: `"host"`, args: []string{"--userns", "host"}},
	{option: "Cgroupns", value: `"private"`, args: []string{"--cgroupns", "private"}, api: "1.41"},
	{option: "CgroupParent", value: `"/parity"`, args: []string{"--cgroup-parent", "/parity"}},
	{option: "Runtime", value: `"runc"`, args: []string{"--runtime", "runc"}},

	{option: "HealthCmd", value: `"true || false"`, args: []string{"--health-cmd", "true || false"}},
	{option: "HealthInterval", value: `"30s"`, args: []string{"--health-cmd", "true", "--health-interval", "30s"}, also: `,"HealthCmd":"true"`},
	{option: "HealthTimeout", value: `"1m30s"`, args: []string{"--health-timeout", "1m30s"}},
	{option: "HealthStartPeriod", value: `"2s"`, args: []string{"--health-start-period", "2s"}},
	{option: "HealthStartInterval", value: `"1s"`, args: []string{"--health-start-interval", "1s"}, api: "1.44"},
	{option: "HealthRetries", value: `4`, args: []string{"--health-retries", "4"}},
	{option: "NoHealthcheck", value: `true`, args: []string{"--no-healthcheck"}},

	{option: "LogDriver", value: `"local"`, args: []string{"--log-driver", "local"}},
	{option: "LogOpt", value: `["max-size=1m","max-file=2"]`, args: []string{"--log-opt", "max-size=1m", "--log-opt", "max-file=2"}},

	{option: "Attach", value: `["STDOUT","STDERR"]`, args: []string{"-a", "stdout", "-a", "stderr"}, run: true},
	{option: "Attach", value: `"STDERR"`, args: []string{"-a", "stderr"}, run: true},
	{option: "Attach", value: `["STDIN","STDOUT"]`, args: []string{"-i", "-a", "stdin", "-a", "stdout"}, run: true},
	{option: "Interactive", value: `true`, args: []string{"-i", "-a", "stdout"}, also: `,"Attach":"STDOUT"`, run: true},
	{option: "Detach", value: `true`, args: []string{"-d"}, run: true},
	{option: "Volume", value: `["parity-named:/a","parity-named:/a"]`, args: []string{"-v", "parity-named:/a", "-v", "parity-named:/a"}},
	{option: "Ulimit", value: `["nofile=100:200","nofile=300:400"]`, args: []string{"--ulimit", "nofile=100:200", "--ulimit", "nofile=300:400"}},
	{option: "CpuShares", value: `"0x200"`, args: []string{"-c", "0x200"}},
	{option: "HealthRetries", value: `0`, args: []string{"--health-retries", "0"}},

	{option: "Memory", value: `"1m"`, args: []string{"-m", "1m"}, refused: true},
	{option: "LogDriver", value: `"nosuch"`, args: []string{"--log-driver", "nosuch"}},
	{option: "CapAdd", value: `"NOSUCH"`, args: []string{"--cap-add", "NOSUCH"}, refused: true},
	{option: "Cpus", value: `"1000"`, args: []string{"--cpus", "1000"}, refused: true},
}

// cli are the arguments of the docker CLI.
func (p parity) cli(fill *strings.Replacer) (args []string) {
	for _, a := range p.args {
		args = append(args, fill.Replace(a))
	}
	return args
}

// options are those of the message, as members of a JSON object.
func (p parity) options(fill *strings.Replacer) string {
	return fmt.Sprintf("%q:%s%s", p.option, fill.Replace(p.value), fill.Replace(p.also))
}

// trusting is the file of a policy that allows everything.
func trusting(t *testing.T) string { return policyFile(t, `{"Trust": true}`) }

// policyFile is the file of a policy with that text.
func policyFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// notCreated are options of create that say nothing of the container.
var notCreated = []string{"Name", "Secret", "Host", "Constraint"}

// TestParity creates containers by the docker CLI and by messages on a real engine, and compares what docker inspect says.
// That each option becomes what the CLI makes of it is shown by TestParityBodies.
func TestParity(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if v, err := l.engine.Ping(t.Context()); err == nil && v.Podman {
		t.Skip("Podman takes the PidsLimit 0 that the docker CLI always sends for no limit, and shows ids where Docker does not")
	}
	dir := l.sharedDir()
	for _, doc := range message.Docs() {
		for _, k := range doc.Keys {
			tested := slices.ContainsFunc(parities, func(p parity) bool { return p.option == k.Name })
			if doc.Name == "create" && k.Option && !tested && !slices.Contains(notCreated, k.Name) {
				t.Errorf("no row for %s", k.Name)
			}
		}
	}
	net, second, other := "parity-net-"+l.serial, "parity-second-"+l.serial, "parity-other-"+l.serial
	l.docker(t, "network", "create", second)
	n := 1 + rand.IntN(250) // another engine of this machine may be tested too
	subnets := []string{"10.99.7.", fmt.Sprintf("10.99.%d.", n), "fd00:99:", fmt.Sprintf("fd00:%d:", 100+n)}
	place := strings.NewReplacer(subnets...)
	l.docker(t, "network", "create", "--subnet", place.Replace("10.99.7.0/24"), "--ipv6", "--subnet", place.Replace("fd00:99::/64"), net)
	l.docker(t, "create", "--name", other, "-v", "/shared", "busybox", "true")
	t.Cleanup(func() {
		ids := strings.Fields(l.docker(t, "ps", "-aq", "--filter", "name="+l.serial))
		l.docker(t, append([]string{"rm", "-fv"}, ids...)...)
		l.docker(t, "network", "rm", net, second)
	})
	fill := strings.NewReplacer(append(subnets, "@net", net, "@SECOND", second, "@OTHER", other, "@DIR", dir)...)

	api := l.api(t)
	verb := func(p parity) string {
		if p.run {
			return "run"
		}
		return "create"
	}
	var messages strings.Builder
	rows := slices.DeleteFunc(slices.Clone(parities), func(p parity) bool { return !p.engine && !p.refused && !p.run && p.api == "" })
	for i, p := range rows {
		fmt.Fprintf(&messages, `{"Dockercmd":%q,"Image":"busybox","Cmd":["true"],"Options":{"Name":"parity-%s-%d",%s}}`+"\n", verb(p), l.serial, i, p.options(fill))
	}
	results := l.viaStdin(t, messages.String(), "--policy", trusting(t))
	for i, p := range rows {
		t.Run(fmt.Sprintf("%s=%s", p.option, p.value), func(t *testing.T) {
			name := fmt.Sprintf("parity-%s-%d", l.serial, i)
			if r := results[name]; older(api, p.api) {
				refused := r.Status != event.Succeeded && strings.Contains(r.Error, "needs API "+p.api)
				if refused == p.older || !refused && r.Status != event.Succeeded {
					t.Errorf("with API %s: %s %s", api, r.Status, r.Error)
				}
				return
			}
			args := append([]string{verb(p), "--name", name + "-cli"}, p.cli(fill)...)
			out, err := l.dockerCommand(append(args, "busybox", "true")...).CombinedOutput()
			r := results[name]
			if (err != nil) != p.refused {
				t.Errorf("refused by the engine: %v, want %v\n%s", err, p.refused, out)
			}
			if err != nil {
				_, reason, ok := strings.Cut(string(out), "Error response from daemon: ")
				reason, _, _ = strings.Cut(reason, "\n")
				reason = strings.TrimSuffix(strings.ReplaceAll(reason, ".", ""), " ")
				if !ok || r.Status == event.Succeeded || !strings.Contains(strings.ToLower(strings.ReplaceAll(r.Error, ".", "")), strings.ToLower(reason[:min(40, len(reason))])) {
					t.Errorf("docker says %q, we %s %q", out, r.Status, r.Error)
				}
				return
			}
			if r.Status != event.Succeeded {
				t.Fatalf("docker creates it, we do not: %s: %s", r.Reason, r.Error)
			}
			if p.run { // else what it has may go while it ends
				l.engineCall(http.MethodPost, "/containers/"+name+"-cli/wait")
				l.engineCall(http.MethodPost, "/containers/"+name+"/wait")
			}
			want, got := l.inspect(t, name+"-cli"), l.inspect(t, name)
			for _, key := range slices.Sorted(maps.Keys(merged(want, got))) {
				if want[key] != got[key] {
					t.Errorf("%s: docker %s, we %s", key, want[key], got[key])
				}
			}
		})
	}
}

// TestParityFlags reads the docker CLI's arguments as docker-dispatch run does: they become the message that
// TestParity holds against them.
func TestParityFlags(t *testing.T) {
	fill := strings.NewReplacer("@DIR", "/dir", "@", "")
	caller := message.Caller{LookupEnv: func(string) (string, bool) { return "", false }, ReadFile: os.ReadFile}
	for _, p := range parities {
		args := []string{"-d"}
		options := `"Detach":true,`
		if p.run {
			args, options = nil, ""
		}
		args = append(append(args, p.cli(fill)...), "busybox", "true")
		options += p.options(fill)
		if p.run && p.args[0] == "-i" { // it means both
			options = `"Interactive":true,"Attach":["STDIN","STDOUT"]`
		}
		want, err := message.Decode(fmt.Appendf(nil, `{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{%s}}`, options), 0, false)
		if err != nil {
			t.Fatalf("%s: %v", options, err)
		}
		l, err := message.ParseRunLine(args, nil, caller)
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		body, err := l.Message(nil, false)
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		got, err := message.Decode(body, 0, false)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: message %s\ngot  %+v\nwant %+v", args, body, got, want)
		}
	}
}

func (l *lab) dockerCommand(args ...string) *exec.Cmd {
	c := exec.Command("docker", args...)
	c.Env = append(os.Environ(), "DOCKER_HOST="+l.dockerHost, "DOCKER_CONFIG=/nonexistent")
	return c
}

func (l *lab) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.dockerCommand(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// api is the newest version that the engine has.
func (l *lab) api(t *testing.T) string {
	v, err := l.engine.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.API
}

// older tells whether a version 1.N is older than another.
func older(a, b string) bool {
	var x, y int
	fmt.Sscanf(a, "1.%d", &x)
	fmt.Sscanf(b, "1.%d", &y)
	return x < y
}

// viaStdin runs messages in one go, and returns their results by the container's name.
func (l *lab) viaStdin(t *testing.T, messages string, args ...string) map[string]event.Result {
	t.Helper()
	c := program(t, append(args, "--format", "json", l.dockerHost, "-")...)
	c.Stdin = strings.NewReader(messages)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, _ := c.Output() // the exit code tells of refused ones
	results := make(map[string]event.Result)
	for _, r := range resultsIn(t, string(out)) {
		results[r.ContainerName] = r
	}
	if len(results) == 0 {
		t.Fatalf("no results\n%s", &stderr)
	}
	return results
}

// inspect is what docker inspect says of a container, by path, without what is each container's own.
func (l *lab) inspect(t *testing.T, name string) map[string]string {
	t.Helper()
	var all map[string]any
	text := string(l.engineCall(http.MethodGet, "/v"+l.api(t)+"/containers/"+name+"/json"))
	if err := json.Unmarshal([]byte(strings.ReplaceAll(text, name+"/", "its-own-name/")), &all); err != nil {
		t.Fatal(err)
	}
	flat := make(map[string]string)
	flatten(flat, "", all)
	if flat["Config.Labels"] == "{}" {
		delete(flat, "Config.Labels") // ours has some
	}
	if id, _ := all["Id"].(string); strings.HasPrefix(id, flat["Config.Hostname"]) {
		delete(flat, "Config.Hostname")
	}
	return flat
}

var ownPaths = []string{
	"Id", "Name", "Created", "State.", "LogPath", "HostnamePath", "HostsPath", "ResolvConfPath", "GraphDriver.", "Storage.",
	"Config.Labels.docker-dispatch.", "HostConfig.ConsoleSize", "NetworkSettings.SandboxID", "NetworkSettings.SandboxKey",
}

func flatten(flat map[string]string, path string, v any) {
	if slices.ContainsFunc(ownPaths, func(p string) bool { return strings.HasPrefix(path, p) }) {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			flat[path] = "{}"
		}
		for k, e := range v {
			at := k
			if path != "" {
				at = path + "." + k
			}
			flatten(flat, at, e)
		}
	case []any:
		if len(v) == 0 {
			flat[path] = "[]"
		}
		if slices.ContainsFunc([]string{"Mounts", ".Aliases", "Config.Env", ".Ulimits", ".Binds"}, func(s string) bool { return strings.HasSuffix(path, s) }) {
			for _, e := range v { // in no order
				text, _ := json.Marshal(anonymous(e))
				flat[path+" "+string(text)] = "there"
			}
			return
		}
		for i, e := range v {
			flatten(flat, fmt.Sprintf("%s.%d", path, i), e)
		}
	default:
		flat[path] = fmt.Sprint(v)
	}
}

// anonymous takes the names of anonymous volumes, and what is empty, out of an entry.
func anonymous(e any) any {
	if s, ok := e.(string); ok && len(s) == 12 {
		return "the id"
	}
	m, ok := e.(map[string]any)
	for k, v := range m {
		if inner, ok := anonymous(v).(map[string]any); ok && len(inner) == 0 {
			delete(m, k)
		}
	}
	if name, _ := m["Name"].(string); ok && len(name) == 64 {
		delete(m, "Name")
		delete(m, "Source")
	}
	return e
}

func merged[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
