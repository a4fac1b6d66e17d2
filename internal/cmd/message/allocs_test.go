//go:build !race

package message

import "testing"

// TestAllocs fails if a message needs more allocations than today to be decoded.
func TestAllocs(t *testing.T) {
	for _, tt := range []struct {
		name string
		most float64
		body string
	}{
		{"run", 24, `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Name":"web","Attach":["STDOUT","STDERR"],"Remove":true}}`},
		{"run with many options", 73, `{"Dockercmd":"run","Image":"busybox","Options":{"Memory":"512m","Cpus":1.5,"Env":{"A":"b","C":"d"},"Label":["x=y"],"Publish":["127.0.0.1:8080:80"],"Mount":"type=volume,src=data,dst=/data","Network":"backend"}}`},
		{"stop", 11, `{"Dockercmd":"stop","Container":"web","Options":{"Time":1}}`},
		{"refused", 481, `{"Dockercmd":"run","Image":"busybox","Options":{"Memroy":"64m"}}`},
	} {
		body := []byte(tt.body)
		if got := testing.AllocsPerRun(100, func() { Decode(body, 1<<20, false) }); got > tt.most {
			t.Errorf("%s: %v allocations, at most %v before", tt.name, got, tt.most)
		}
	}
}
