package flagval

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

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
