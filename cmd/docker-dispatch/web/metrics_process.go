package web

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A process is what the daemon's process uses. Zero: not known, as outside Linux.
type process struct {
	goroutines int
	resident   int64   // bytes
	cpu        float64 // seconds
	open, most int64   // descriptors
}

// ticks is how many parts of a second /proc counts processor time in: USER_HZ, which is 100 on every system.
const ticks = 100

// readProcess reads /proc/self, see proc(5).
func readProcess() process {
	p := process{goroutines: runtime.NumGoroutine()}
	stat, _ := os.ReadFile("/proc/self/stat")
	if _, after, ok := strings.Cut(string(stat), ") "); ok { // after the program's name
		if f := strings.Fields(after); len(f) > 21 {
			p.cpu = float64(wholeNumber(f[11])+wholeNumber(f[12])) / ticks
			p.resident = wholeNumber(f[21]) * int64(os.Getpagesize())
		}
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.open = int64(len(open)) - 1 // without the one that reads the folder
	}
	p.most = MostDescriptors()
	return p
}

// MostDescriptors returns how many descriptors this process may have open. 0: not known, or no limit.
func MostDescriptors() (n int64) {
	limits, _ := os.ReadFile("/proc/self/limits")
	if _, after, ok := strings.Cut(string(limits), "Max open files"); ok {
		n = wholeNumber(strings.Fields(after)[0])
	}
	return n
}

// wholeNumber returns a whole number; 0: it is none.
func wholeNumber(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
