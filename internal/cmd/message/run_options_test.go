package message

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// request is what a run with the options asks the engine for, as JSON.
func request(t *testing.T, options string) (string, error) {
	t.Helper()
	c, err := Decode([]byte(`{"Dockercmd":"run","Image":"a","Options":`+options+`}`), 0, false)
	if err != nil {
		return "", err
	}
	r := c.(*Run)
	cfg := r.Request(map[string]string{}, 1)
	for k := range cfg.Labels {
		if strings.HasPrefix(k, labelPrefix) {
			delete(cfg.Labels, k)
		}
	}
	cfg.Image = ""
	// What the docker CLI sends by itself is left out.
	defaults, h := reflect.ValueOf(asDocker(nil)).Elem(), reflect.ValueOf(cfg.HostConfig).Elem()
	for i := range h.NumField() {
		if reflect.DeepEqual(h.Field(i).Interface(), defaults.Field(i).Interface()) {
			h.Field(i).SetZero()
		}
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), nil
}

// TestOptions: what options become in the request. That this is what the docker CLI makes of them is shown on
// a real engine, by TestParity.
func TestOptions(t *testing.T) {
	for _, tt := range []struct{ options, want string }{
		{`{}`, `{"HostConfig":{}}`},
		{`{"Memory":"64m","MemorySwap":-1,"Cpus":0.5,"PidsLimit":0,"MemorySwappiness":0}`,
			`{"HostConfig":{"Memory":67108864,"MemorySwap":-1,"MemorySwappiness":0,"NanoCpus":500000000,"PidsLimit":0}}`},
		{`{"MemorySwappiness":-1}`, `{"HostConfig":{}}`},
		{`{"Env":{"B":"2","A":""},"Label":["x=y","z"]}`, `{"Env":["B=2","A="],"Labels":{"x":"y","z":""},"HostConfig":{}}`},
		{`{"Interactive":true}`, `{"OpenStdin":true,"HostConfig":{}}`},
		{`{"Attach":["stdin","stdout"],"Stdin":"x"}`, `{"OpenStdin":true,"StdinOnce":true,"AttachStdin":true,"AttachStdout":true,"HostConfig":{}}`},
		{`{"Interactive":true,"Attach":"STDOUT"}`, `{"OpenStdin":true,"StdinOnce":true,"AttachStdin":true,"AttachStdout":true,"HostConfig":{}}`},
		{`{"Volume":["vv:/a","vv:/a"],"Ulimit":["core=1","nofile=1:2","core=2:3"],"CpuShares":"0x10"}`,
			`{"HostConfig":{"Binds":["vv:/a"],"CpuShares":16,"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2},{"Name":"core","Soft":2,"Hard":3}]}}`},
		{`{"HealthRetries":0,"HealthInterval":"0s"}`, `{"HostConfig":{}}`},
		{`{"MacAddress":"02:00:00:00:00:01"}`, `{"MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"default"},"NetworkingConfig":{"EndpointsConfig":{"default":{"MacAddress":"02:00:00:00:00:01"}}}}`},
		{`{"Init":false,"StopTimeout":0}`, `{"StopTimeout":0,"HostConfig":{"Init":false}}`},
		{`{"Volume":["data:/data","/anonymous"]}`, `{"Volumes":{"/anonymous":{}},"HostConfig":{"Binds":["data:/data"]}}`},
		{`{"Publish":"127.0.0.1:80:80","Expose":"81"}`, `{"ExposedPorts":{"80/tcp":{},"81/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"80"}]}}}`},
		{`{"Network":"net"}`, `{"HostConfig":{"NetworkMode":"net"}}`},
		{`{"Network":["net","name=other,alias=x"],"NetworkAlias":"db","Ip":"10.0.0.5"}`,
			`{"HostConfig":{"NetworkMode":"net"},"NetworkingConfig":{"EndpointsConfig":{"net":{"IPAMConfig":{"IPv4Address":"10.0.0.5"},"Aliases":["db"]},"other":{"Aliases":["x"]}}}}`},
		{`{"HealthCmd":"true","HealthInterval":"1s"}`, `{"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":1000000000},"HostConfig":{}}`},
		{`{"NoHealthcheck":true}`, `{"Healthcheck":{"Test":["NONE"]},"HostConfig":{}}`},
		{`{"CapAdd":["sys_time"],"CapDrop":["ALL","CAP_SYS_TIME"]}`, `{"HostConfig":{"CapAdd":["CAP_SYS_TIME"],"CapDrop":["ALL","CAP_SYS_TIME"]}}`},
		{`{"Device":["/dev/null","vendor.com/gpu=0"],"Gpus":"all"}`,
			`{"HostConfig":{"Devices":[{"PathOnHost":"/dev/null","PathInContainer":"/dev/null","CgroupPermissions":"rwm"}],"DeviceRequests":[{"Driver":"cdi","DeviceIDs":["vendor.com/gpu=0"]},{"Count":-1,"Capabilities":[["gpu"]],"Options":{}}]}}`},
		{`{"SecurityOpt":"systempaths=unconfined"}`, `{"HostConfig":{"SecurityOpt":[],"MaskedPaths":[],"ReadonlyPaths":[]}}`},
		{`{"LogOpt":{"max-size":"1m"}}`, `{"HostConfig":{"LogConfig":{"Config":{"max-size":"1m"}}}}`},
		{`{"Restart":"on-failure:3"}`, `{"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}}`},
	} {
		got, err := request(t, tt.options)
		if err != nil || got != tt.want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", tt.options, got, err, tt.want)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	for _, tt := range []struct{ options, want string }{
		{`{"Memory":"much"}`, `Options.Memory: `},
		{`{"Memory":true}`, `Options.Memory: expected a number or a string, got a boolean`},
		{`{"Memory":["1m"]}`, `Options.Memory: expected a number or a string, got an array`},
		{`{"Env":["A=b","=c"]}`, `Options.Env: item 2: `},
		{`{"Env":{"A":1}}`, `Options.Env: "A": expected a string, got a number`},
		{`{"Env":{"A":"1","A":"2"}}`, `Options.Env: duplicate key "A"`},
		{`{"Env":7}`, `Options.Env: expected an object, an array of strings or a string, got a number`},
		{`{"Init":"yes"}`, `Options.Init: expected true or false, got a string`},
		{`{"User":1000}`, `Options.User: expected a string, got a number`},
		{`{"StopTimeout":"soon"}`, `Options.StopTimeout: expected a whole number, got "soon"`},
		{`{"StopTimeout":-2}`, `Options.StopTimeout: expected a whole number from -1 to 2147483647, got "-2"`},
		{`{"OomScoreAdj":1001}`, `Options.OomScoreAdj: expected a whole number from -1000 to 1000, got "1001"`},
		{`{"MemorySwappiness":101}`, `Options.MemorySwappiness: expected a whole number from -1 to 100, got "101"`},
		{`{"Label":"docker-dispatch.job=x"}`, `Options.Label: "docker-dispatch.job" is reserved for the daemon; choose another name`},
		{`{"Pull":"sometimes"}`, `Options.Pull: unknown value "sometimes"; expected "missing", "always" or "never"`},
		{`{"Pull":"alway"}`, `Options.Pull: unknown value "alway"; did you mean "always"?`},
		{`{"Attach":["STDIN"],"Tty":true}`, `Options: only one of Tty and Attach with STDIN can be given: `},
		{`{"Attach":["STDOUT"],"Interactive":true,"Tty":true}`, `Options: only one of Tty and Attach with STDIN can be given: `},
		{`{"HealthInterval":30}`, `Options.HealthInterval: expected a string, got a number`},
		{`{"Timeout":"1m"}`, `Options: a Timeout needs Attach, Remove or a reply_to: a detached run is done when its container has started`},
		{`{"Remove":true,"Timeout":"-1m"}`, `Options.Timeout: expected a time such as "90s" or "1h30m", got "-1m"`},
		{`{"Stdin":"x","Attach":"STDOUT"}`, `Options: the program gets Stdin only if Attach names "STDIN"`},
		{`{"Stdin":"x","StdinBase64":"eA==","Attach":"STDIN"}`, `Options.StdinBase64: only one of Stdin and StdinBase64 can be given`},
		{`{"StdinBase64":"%%","Attach":"STDIN"}`, `Options.StdinBase64: expected base64: `},
		{`{"Restart":"always","Remove":true}`, `Options: only one of Restart and Remove can be given; a container that is started again is not removed at its end`},
		{`{"NoHealthcheck":true,"HealthCmd":"true"}`, `Options: NoHealthcheck: it cannot be combined with other Health options`},
		{`{"LogDriver":"none","LogOpt":"a=b"}`, `Options: LogOpt: the log driver none has no options`},
		{`{"Network":["a","a"]}`, `Options: Network: "a" is named twice`},
		{`{"Network":["a","bridge"]}`, `Options: Network: "bridge" cannot be combined with other networks`},
		{`{"Network":["a","host"]}`, `Options: Network: "host" cannot be combined with other networks`},
		{`{"Network":"name=a,alias=x","NetworkAlias":"y"}`, `Options: NetworkAlias: the first of Network names aliases already`},
		{`{"Memroy":"1m"}`, `Options: unknown key "Memroy"; did you mean "Memory"?`},
		{`{"memory":"1m"}`, `Options: unknown key "memory"; did you mean "Memory"?`},
	} {
		got, err := request(t, tt.options)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", tt.options, got, err, tt.want)
		}
	}
}

// TestOptionsAreFlags: keys are the CLI's flags in CamelCase, each once, each with a word of help.
func TestOptionsAreFlags(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range runOptions {
		if seen[k.name] || k.help == "" || strings.Contains(k.help, "|") || (k.set == nil) == (k.decode == nil) {
			t.Errorf("option %s: %q", k.name, k.help)
		}
		seen[k.name] = true
	}
}

// FuzzOptions looks for options that panic, here or where they become a request.
func FuzzOptions(f *testing.F) {
	for _, s := range []string{
		`{"Mount":"type=tmpfs,dst=/t"}`, `{"Publish":["80","1-2:3-4/udp"]}`, `{"Network":["a","name=b"],"Ip":"1.2.3.4"}`,
		`{"Retry":{"Max":3,"On":["exit",75]},"Remove":true}`, `{"Env":{"A":"b"},"Gpus":2,"Ulimit":"nofile=1:2"}`,
		`{"HealthCmd":"x","NoHealthcheck":true}`, `{"CapAdd":[""],"CapDrop":["all"]}`, `{"SecurityOpt":["seccomp={}"]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, options string) {
		if text, err := request(t, options); err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%s: request %s", options, text)
		}
		Decode([]byte(`{"Dockercmd":"create","Image":"a","Options":`+options+`}`), 0, false)
	})
}

// TestNamespaces: each key takes the modes of its namespace, and the error names them.
func TestNamespaces(t *testing.T) {
	for _, tt := range []struct {
		key  string
		good []string
		want string
		bad  []string
	}{
		{"Pid", []string{"", "host", "container:x", "container:a:b"}, `expected "host" or "container:NAME"`, []string{"private", "HOST", "container", "container:"}},
		// The docker CLI leaves this one to the engine.
		{"Ipc", []string{"", "none", "private", "shareable", "host", "container:x"}, `expected "none", "private", "shareable", "host" or "container:NAME"`, []string{"x", "container:"}},
		{"Uts", []string{"", "host"}, `expected "host"`, []string{"private", "container:x"}},
		{"Userns", []string{"", "host"}, `expected "host"`, []string{"private", "x"}},
		{"Cgroupns", []string{"", "host", "private"}, `expected "host" or "private"`, []string{"container:x"}},
	} {
		k := find(runOptions, tt.key)
		for _, mode := range tt.good {
			if err := k.check(mode); err != nil {
				t.Errorf("%s %q: %v", tt.key, mode, err)
			}
		}
		for _, mode := range tt.bad {
			if err := k.check(mode); err == nil || err.Error() != tt.want+", got "+flagval.Quote(mode) {
				t.Errorf("%s %q: got %v, want %s", tt.key, mode, err, tt.want)
			}
		}
	}
}
