package flagval

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func TestParseDevice(t *testing.T) {
	const device = `expected a device such as "/dev/sda:/dev/xvda:r", got `
	testParse(t, ParseDevice, []taken[dockerapi.Device]{
		{"/dev/a", dockerapi.Device{PathOnHost: "/dev/a", PathInContainer: "/dev/a", CgroupPermissions: "rwm"}},
		{"/dev/a:rw", dockerapi.Device{PathOnHost: "/dev/a", PathInContainer: "/dev/a", CgroupPermissions: "rw"}},
		{"/dev/a:/dev/b", dockerapi.Device{PathOnHost: "/dev/a", PathInContainer: "/dev/b", CgroupPermissions: "rwm"}},
		{"/dev/a:/dev/b:mr", dockerapi.Device{PathOnHost: "/dev/a", PathInContainer: "/dev/b", CgroupPermissions: "mr"}},
		{"/dev//a:/dev/../b:r", dockerapi.Device{PathOnHost: "/dev/a", PathInContainer: "/b", CgroupPermissions: "r"}},
		{"/dev/a=b", dockerapi.Device{PathOnHost: "/dev/a=b", PathInContainer: "/dev/a=b", CgroupPermissions: "rwm"}},
	}, []refused{
		{"", device + `""`},
		{":/dev/b", device + `":/dev/b"`},
		{"/dev/a:/dev/b:r:x", device + `"/dev/a:/dev/b:r:x"`},
		{"/dev/a:/dev/b:x", `expected permissions of r, w and m, each once, got "x" in "/dev/a:/dev/b:x"`},
		{"/dev/a:/dev/b:rwmr", `expected permissions of r, w and m, each once, got "rwmr" in "/dev/a:/dev/b:rwmr"`},
		{"/dev/a:/dev/b:", `expected permissions of r, w and m, each once, got "" in "/dev/a:/dev/b:"`},
		{"/dev/a:", `expected an absolute path, got "" in "/dev/a:"`},
		{"/dev/a::r", `expected an absolute path, got "" in "/dev/a::r"`},
		{"/dev/a:rr", `expected an absolute path, got "rr" in "/dev/a:rr"`},
		{"dev/a", `expected an absolute path, got "dev/a" in "dev/a"`},
		{"dev/a:/dev/a", `expected an absolute path, got "dev/a" in "dev/a:/dev/a"`}, // the docker CLI sends it
	})
}

func TestParseDeviceCgroupRule(t *testing.T) {
	const rule = `expected a rule such as "c 42:* rmw", got `
	testCheck(t, ParseDeviceCgroupRule, []string{"c 42:* rmw", "a *:* r", "b 1:2 rrr"}, []refused{
		{"", rule + `""`},
		{"c 1:2", rule + `"c 1:2"`},
		{"d 1:2 r", rule + `"d 1:2 r"`},
		{"c 1:2 x", rule + `"c 1:2 x"`},
		{"c 1:2 rrrr", rule + `"c 1:2 rrrr"`},
		{"c  1:2 r", rule + `"c  1:2 r"`},
		{"c 1:2 r\n", rule + `"c 1:2 r\n"`},
	})
}

func TestIsCDI(t *testing.T) {
	for name, want := range map[string]bool{
		"vendor.com/class=name": true,
		"nvidia.com/gpu=all":    true,
		"vendor.com/class=0":    true,
		"v_-.x/cc.d=n":          true,
		"vv/c_d-e=a_b.c:d-e":    true,
		"v..v/cc=n..n":          true,

		"":                        false,
		"/dev/a":                  false,
		"/dev/a=b":                false,
		"vendor.com/class":        false,
		"vendor.com/class=":       false,
		"vendor.com/=x":           false,
		"vendor.com/class=-a":     false,
		"vendor.com/class=a-":     false,
		"vendor.com/class=a b":    false,
		"vendor.com/class=a=b":    false,
		"vendor.com/class/x=a":    false,
		"1vendor/class=a":         false,
		"vendor-/class=a":         false,
		"vendor.com/1class=a":     false,
		"vendor.com/class-=a":     false,
		"vendor.com/class=é":      false,
		"vendor.com/class=name\n": false,
		"v/class=a":               false, // the docker CLI panics, and at the next
		"vendor/c=a":              false,
	} {
		if got := IsCDI(name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
}

func TestParseGPUs(t *testing.T) {
	gpu := [][]string{{"gpu"}}
	none := map[string]string{}
	count := func(n int) dockerapi.DeviceRequest {
		return dockerapi.DeviceRequest{Count: n, Capabilities: gpu, Options: none}
	}
	both := func(s string) string {
		return `expected a count or devices, got both in ` + s + `; several devices need quotation marks of their own: "\"device=0,1\""`
	}
	testParse(t, ParseGPUs, []taken[dockerapi.DeviceRequest]{
		{"all", count(-1)},
		{"2", count(2)},
		{"count=2", count(2)},
		{"-2", count(-2)}, // the engine refuses it
		{"device=0", dockerapi.DeviceRequest{DeviceIDs: []string{"0"}, Capabilities: gpu, Options: none}},
		{`"device=0,1"`, dockerapi.DeviceRequest{DeviceIDs: []string{"0", "1"}, Capabilities: gpu, Options: none}},
		{"driver=nvidia", dockerapi.DeviceRequest{Driver: "nvidia", Count: 1, Capabilities: gpu, Options: none}},
		{`driver=nvidia,all,"capabilities=compute,utility",options=a=b`, dockerapi.DeviceRequest{
			Driver: "nvidia", Count: -1, Capabilities: [][]string{{"compute", "utility", "gpu"}}, Options: map[string]string{"a": "b"},
		}},
		{`2,"options=a=b,c,d=e=f"`, dockerapi.DeviceRequest{Count: 2, Capabilities: gpu, Options: map[string]string{"a": "b", "c": "", "d": "e=f"}}},
	}, []refused{
		{"", `expected fields such as name=value, got an empty string`},
		{"x", `expected a number of GPUs, or "all", got "x"`},
		{"ALL", `expected a number of GPUs, or "all", got "ALL"`},
		{"count=", `expected a number of GPUs, or "all", got ""`},
		{"2,2", `the field "count" is in "2,2" twice`},
		{"device=0,device=1", `the field "device" is in "device=0,device=1" twice`},
		{"driverr=x", `unknown field "driverr" in "driverr=x"; did you mean "driver"?`},
		{"options=", `options: expected fields such as name=value, got an empty string`},
		// The docker CLI sends the last count,
		{"2,3", `the field "count" is in "2,3" twice`},
		// and both of these, which the engine refuses.
		{"device=0,1", both(`"device=0,1"`)},
		{"all,device=0", both(`"all,device=0"`)},
	})
}
