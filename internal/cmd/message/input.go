package message

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// inputKey makes one of the keys for a program's standard input, of which one can be given. No input is nil.
func inputKey[T any](name, help string, field func(*T) *[]byte, decode func(string) ([]byte, error)) key[T] {
	return key[T]{name: name, flags: []string{}, form: formText, help: help, set: func(c *T, v []string) (err error) {
		if *field(c) != nil {
			return errors.New("only one of Stdin and StdinBase64 can be given")
		}
		*field(c), err = decode(v[0])
		return err
	}}
}

func decodeText(s string) ([]byte, error) { return []byte(s), nil }

func decodeBase64(s string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("expected base64: %w", err)
	}
	return data, nil
}
