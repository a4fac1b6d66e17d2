package amqpsrc

import "math"

// Values of headers are strangers' input, of any type and size: what is not as we write it counts as absent.

// number reads a whole number from least to most, in whatever type AMQP has it.
func number(value any, least, most int64) (n int64, ok bool) {
	switch v := value.(type) {
	case int8:
		n = int64(v)
	case byte:
		n = int64(v)
	case int16:
		n = int64(v)
	case uint16:
		n = int64(v)
	case int32:
		n = int64(v)
	case uint32:
		n = int64(v)
	case int64:
		n = v
	default:
		return 0, false
	}
	return n, least <= n && n <= most
}

// count reads a number that the broker counts with; 0 where there is none.
func count(value any) int {
	n, ok := number(value, 0, math.MaxInt32)
	if !ok {
		return 0
	}
	return int(n)
}

// maxText is the longest text that is read, in bytes: that of properties and names.
const maxText = 255

// text reads a text of at most maxText bytes.
func text(value any) string {
	if s, ok := value.(string); ok && len(s) <= maxText {
		return s
	}
	return ""
}
