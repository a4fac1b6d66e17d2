package cmd

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// parseCPUs reads --cpus, a number of CPUs, exactly and in billionths of one.
func parseCPUs(s string) (nano int64, err error) {
	// Exact arithmetic is as large as its number: 1e999999999 would fill the memory.
	const longest = 40
	exponent := ""
	if i := strings.LastIndexAny(s, "eEpP"); i >= 0 {
		exponent = strings.TrimLeft(s[i+1:], "+-")
	}
	cpus, ok := new(big.Rat), false
	if len(s) <= longest && len(exponent) <= 2 {
		cpus, ok = cpus.SetString(s)
	}
	if !ok {
		return 0, fmt.Errorf(`expected a number of CPUs such as "1.5", got %s`, quote(s))
	}
	cpus.Mul(cpus, big.NewRat(1e9, 1))
	switch {
	case !cpus.IsInt():
		return 0, fmt.Errorf("%s is too precise; a CPU is divided into 1000000000 parts", quote(s))
	case !cpus.Num().IsInt64():
		return 0, errors.New(quote(s) + " is more CPUs than any machine has")
	}
	return cpus.Num().Int64(), nil
}
