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

// LargeSize is a number of bytes that may be beyond 2g. A tenth more is still an int64.
type LargeSize int64

func (z *LargeSize) String() string { return strconv.FormatInt(int64(*z), 10) }

// Set reads a size as the docker CLI does.
func (z *LargeSize) Set(text string) error {
	n, err := flagval.ParseBytes(text)
	if err != nil || n >= 1<<60 {
		return errors.New("expected a size such as 512m or 10g, below 1024p")
	}
	*z = LargeSize(n)
	return nil
}

// Set reads a size as the docker CLI does.
func (z *Size) Set(text string) error {
	n, err := flagval.ParseBytes(text)
	if err != nil || n > math.MaxInt32 {
		return errors.New("expected a size such as 512, 64k or 1m, below 2g")
	}
	*z = Size(n)
	return nil
}
