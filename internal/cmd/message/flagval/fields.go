package flagval

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// csvFields splits a value at its commas. As in a line of CSV, quotation marks around a field keep its commas.
func csvFields(s string) ([]string, error) {
	if s != "" && !strings.ContainsAny(s, "\"\r\n") {
		return strings.Split(s, ","), nil // what a csv.Reader, with its large buffer, would make of it
	}
	r := csv.NewReader(strings.NewReader(s))
	fields, err := r.Read()
	if err == io.EOF {
		return nil, errors.New("expected fields such as name=value, got an empty string")
	}
	if err == nil {
		// The docker CLI ignores further lines.
		if _, more := r.Read(); more != io.EOF {
			err = errors.New("it has more than one line")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("expected fields separated by commas, got %s: %w", Quote(s), err)
	}
	return fields, nil
}

// unknownField returns the error for a field of s whose name is not known.
func unknownField(name, s string, known []string) error {
	return unknown(fmt.Sprintf("unknown field %s in %s", Quote(name), Quote(s)), name, known)
}
