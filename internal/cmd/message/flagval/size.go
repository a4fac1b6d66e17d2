package flagval

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ParseBytes reads a size such as that of --memory: a number and a unit, as the docker CLI reads them with go-units. Each
// unit is 1024 times the one before.
func ParseBytes(s string) (int64, error) {
	number := strings.TrimRightFunc(s, unicode.IsLetter)
	unit := strings.ToLower(s[len(number):])
	size, err := strconv.ParseFloat(strings.TrimSuffix(number, " "), 64)
	power, known := 0, true
	if unit != "" {
		// b stands alone; the other units may end in b or ib: k, kb, kib.
		power = strings.IndexByte("bkmgtp", unit[0])
		rest := unit[1:]
		known = power >= 0 && (rest == "" || power > 0 && (rest == "b" || rest == "ib"))
	}
	if err != nil || !known {
		return 0, fmt.Errorf(`expected a size such as "512m" or "1.5g", with b, k, m, g, t or p, got %s`, Quote(s))
	}
	size = math.Ldexp(size, 10*power)
	if size < 0 {
		return 0, fmt.Errorf("expected a size of 0 or more, got %s", Quote(s))
	}
	if !(size < 1<<63) { // true for NaN too
		return 0, fmt.Errorf("expected a size of less than 8192p, got %s", Quote(s))
	}
	return int64(size), nil
}

// Size writes a number of bytes as ParseBytes reads it, with at most one decimal: 512m, 1.5g.
func Size(n int64) string {
	size, unit := float64(n), 0
	for size >= 1024 && unit < 5 {
		size, unit = size/1024, unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + "bkmgtp"[unit:unit+1]
}

// ParseMemorySwap reads --memory-swap, memory and swap together; -1 means unlimited swap.
func ParseMemorySwap(s string) (int64, error) {
	if s == "-1" {
		return -1, nil
	}
	size, err := ParseBytes(s)
	if err != nil {
		return 0, fmt.Errorf("%w; or -1 for unlimited swap", err)
	}
	return size, nil
}

// LogSize reads a size as log drivers do: 10m, 1.5g, 512kb. A text that cannot be read counts as 0.
func LogSize(text string) int64 {
	n, _ := ParseBytes(text)
	return n
}

// ParseCPUs reads --cpus, a number of CPUs, and returns it exactly, in billionths of a CPU.
func ParseCPUs(s string) (nano int64, err error) {
	// The time to read a number grows faster than its digits. More digits than these have no meaning here.
	const longest = 40
	cpus, ok := new(big.Rat), false
	// The power of 1e1000000 takes long to compute: an exponent of three digits or more is not computed.
	exponent := s[strings.LastIndexAny(s, "eEpP")+1:]
	power := strings.TrimLeft(exponent, "+-")
	if len(s) <= longest && len(exponent) < len(s) && len(power) > 2 && only(power, digits+"_") {
		if exponent[0] == '-' {
			return 0, fmt.Errorf("%s is too precise; a CPU is divided into 1000000000 parts", Quote(s))
		}
		return 0, errors.New(Quote(s) + " is more CPUs than any machine has")
	}
	if len(s) <= longest {
		cpus, ok = cpus.SetString(s)
	}
	if !ok {
		return 0, fmt.Errorf(`expected a number of CPUs such as "1.5", got %s`, Quote(s))
	}
	cpus.Mul(cpus, big.NewRat(1e9, 1))
	switch {
	case !cpus.IsInt():
		return 0, fmt.Errorf("%s is too precise; a CPU is divided into 1000000000 parts", Quote(s))
	case !cpus.Num().IsInt64():
		return 0, errors.New(Quote(s) + " is more CPUs than any machine has")
	}
	return cpus.Num().Int64(), nil
}

// ParseDuration reads --health-interval and the like, in Go's notation.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf(`expected a duration such as "30s" or "1m30s", got %s`, Quote(s))
	}
	return d, nil
}
