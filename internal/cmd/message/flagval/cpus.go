package flagval

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

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
