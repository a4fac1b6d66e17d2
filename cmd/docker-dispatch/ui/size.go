package ui

import (
	"errors"
	"math"
	"strconv"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Size is a number of bytes: 64k, 1m, 512.
type Size int

func (z *Size) String() string { return strconv.Itoa(int(*z)) }

// Set reads a size as the docker CLI does.
func (z *Size) Set(text string) error {
	n, err := flagval.ParseBytes(text)
	if err != nil || n > math.MaxInt32 {
		return errors.New("expected a size such as 512, 64k or 1m, below 2g")
	}
	*z = Size(n)
	return nil
}
