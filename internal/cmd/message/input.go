package message

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// setInput sets a program's standard input, once: a second input is an error.
func setInput(given *bool, to *[]byte, data []byte) error {
	if *given {
		return errors.New("only one of Stdin and StdinBase64 can be given")
	}
	*given, *to = true, data
	return nil
}

func setInputBase64(given *bool, to *[]byte, text string) error {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("expected base64: %w", err)
	}
	return setInput(given, to, data)
}
