package policy

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

var ulimits = []string{"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"}

// items makes an option's i-th item. Options that are not here take "ki=v".
var items = map[string]func(i int) string{
	"Attach":            func(i int) string { return "STDOUT" },
	"BlkioWeightDevice": func(i int) string { return fmt.Sprintf("/dev/d%d:100", i) },
	"DeviceReadBps":     func(i int) string { return fmt.Sprintf("/dev/d%d:1", i) },
	"DeviceWriteBps":    func(i int) string { return fmt.Sprintf("/dev/d%d:1", i) },
	"DeviceReadIops":    func(i int) string { return fmt.Sprintf("/dev/d%d:1", i) },
	"DeviceWriteIops":   func(i int) string { return fmt.Sprintf("/dev/d%d:1", i) },
	"Ulimit":            func(i int) string { return fmt.Sprintf("%s=%d", ulimits[i%len(ulimits)], i) },
	"Volume":            func(i int) string { return fmt.Sprintf("v%d:/d", i) },
	"Mount":             func(i int) string { return fmt.Sprintf("dst=/%d", i) },
	"Network":           func(i int) string { return fmt.Sprintf("n%d", i) },
	"LinkLocalIp":       func(i int) string { return fmt.Sprintf("169.254.%d.%d", i/256%256, i%256) },
	"Publish":           func(i int) string { return fmt.Sprintf("127.0.0.1::%d", i) },
	"Expose":            func(i int) string { return fmt.Sprint(i) },
	"Dns":               func(i int) string { return fmt.Sprintf("10.%d.%d.1", i/256%256, i%256) },
	"DnsSearch":         func(i int) string { return fmt.Sprintf("a%d.b", i) },
	"AddHost":           func(i int) string { return fmt.Sprintf("h%d:10.0.0.1", i) },
	"Device":            func(i int) string { return fmt.Sprintf("/dev/d%d", i) },
	"DeviceCgroupRule":  func(i int) string { return fmt.Sprintf("c 1:%d r", i) },
	"SecurityOpt":       func(i int) string { return fmt.Sprintf("label=k%d", i) },
	"Sysctl":            func(i int) string { return fmt.Sprintf("net.k%d=v", i) },
	"CapAdd":            func(i int) string { return fmt.Sprintf("C%d", i) },
	"CapDrop":           func(i int) string { return fmt.Sprintf("D%d", i) },
}

// worst are messages with n items of each option that takes a list, by the option; and one of unknown keys.
func worst(n int) map[string][]byte {
	bodies := make(map[string][]byte)
	list := func(name string) string {
		item := items[name]
		if item == nil {
			item = func(i int) string { return fmt.Sprintf("k%d=v", i) }
		}
		texts := make([]string, n)
		for i := range texts {
			texts[i] = item(i)
		}
		text, _ := json.Marshal(texts)
		return fmt.Sprintf("%q:%s", name, text)
	}
	run := func(options string) []byte {
		return []byte(`{"Dockercmd":"run","Image":"a","Options":{` + options + `}}`)
	}
	pairs := func(value string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":%s,`, i, value)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	for _, k := range runKeyDocs() {
		switch {
		case !k.Option:
		case strings.Contains(k.Value, "array of strings"):
			bodies[k.Name] = run(list(k.Name))
		case strings.Contains(k.Value, "string"):
			bodies[k.Name] = run(fmt.Sprintf(`%q:"%s"`, k.Name, strings.Repeat("1", n)))
		}
	}
	bodies["Env of an object"] = run(`"Env":{` + pairs(`"v"`) + `}`)
	bodies["unknown keys"] = []byte(`{` + pairs("1") + `}`)
	bodies["CapAdd and CapDrop"] = run(list("CapAdd") + "," + list("CapDrop"))
	bodies["fields of a Mount"] = run(`"Mount":"dst=/d` + strings.Repeat(",volume-opt=a=b", n) + `"`)
	bodies["aliases of a Network"] = run(`"Network":"name=n` + strings.Repeat(",alias=b", n) + `"`)
	return bodies
}

// runKeyDocs are the keys of run.
func runKeyDocs() []message.KeyDoc {
	docs := message.Docs()
	return docs[slices.IndexFunc(docs, func(d message.CommandDoc) bool { return d.Name == "run" })].Keys
}

func decodeWorst(body []byte) { Check(body, 0, Sender{Replies: true}, new(Rules)) }

// TestDecodeIsLinear: sixteen times the message takes about sixteen times the work. Only the ratio counts, the
// least of several: quadratic work shows as 256.
func TestDecodeIsLinear(t *testing.T) {
	const n, times = 250, 16
	// most is how much longer one long message may take than as many short ones: a quadratic one takes 16 times as long.
	const most = 5
	small, large := worst(n), worst(n*times)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The thread's own time, which a busy machine takes nothing of. Its clock may tick each 4 ms only.
	spent := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	measure := func(name string) (long, short time.Duration) {
		rounds := 0
		at := spent()
		for rounds == 0 || spent()-at < 10*time.Millisecond {
			decodeWorst(large[name])
			rounds++
		}
		long = spent() - at
		at = spent()
		for range rounds * times {
			decodeWorst(small[name])
		}
		return long / time.Duration(rounds), max(spent()-at, 8*time.Millisecond) / time.Duration(rounds)
	}
	for name := range small {
		long, short := measure(name)
		for again := 0; long > most*short && again < 10; again++ { // the garbage collector has its share
			long, short = measure(name)
		}
		if long > most*short {
			t.Errorf("%s: a message takes %v, as many short ones %v", name, long, short)
		}
	}
}

// TestDecodeIsBounded: what a decode allocates goes by the message's length, not by a number in it.
func TestDecodeIsBounded(t *testing.T) {
	many := func(option, item string, n int) string {
		return `"` + option + `":[` + strings.TrimSuffix(strings.Repeat(`"`+item+`",`, n), ",") + `]`
	}
	for _, tt := range []struct{ options, want string }{
		{many("Expose", "0-65535", 200), `Options.Expose: item 2: expected at most 65536 ports, "0-65535" makes them more`},
		{many("Publish", "0-65535", 200), `Options.Publish: expected at most 65536 ports, "0-65535" makes them more`},
		{many("Expose", "1-40000/udp", 1) + `,"Publish":"1-40000"`, `Options: Publish and Expose name 80000 ports of the container together; at most 65536 are taken`},
		{`"Cpus":"1e1000000"`, `Options.Cpus: "1e1000000" is more CPUs than any machine has`},
		{`"Cpus":"3e-999999"`, `Options.Cpus: "3e-999999" is too precise`},
		{`"Cpus":"0x1p999999"`, `Options.Cpus: "0x1p999999" is more CPUs than any machine has`},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Check([]byte(`{"Dockercmd":"run","Image":"a","Options":{`+tt.options+`}}`), 0, Sender{}, new(Rules))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%.60s: got %v, want %s", tt.options, err, tt.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%.60s: %d bytes allocated", tt.options, n)
		}
	}
}

// BenchmarkDecodeWorst shows the time per KB of the worst message of every option.
func BenchmarkDecodeWorst(b *testing.B) {
	for name, body := range worst(4000) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				decodeWorst(body)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/(float64(len(body))/1024), "µs/KB")
		})
	}
}
