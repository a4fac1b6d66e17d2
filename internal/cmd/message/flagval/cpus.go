package flagval

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
)

// hugeExponent matches an exponent of three digits or more: the power of 1e1000000 takes long to compute.
var hugeExponent = regexp.MustCompile(`[eEpP][+-]?[0-9_]{3}`)

// ParseCPUs reads --cpus, a number of CPUs, and returns it exactly, in billionths of a CPU.
func ParseCPUs(s string) (nano int64, err error) {
	// The time to read a number grows faster than its digits. More digits than these have no meaning here.
	const longest = 40
	cpus, ok := new(big.Rat), false
	if e := hugeExponent.FindString(s); len(e) > 1 && len(s) <= longest {
		if e[1] == '-' {
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
