package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// CheckJSON returns an error with the position of the fault if body is not one JSON value in UTF-8.
func CheckJSON(body []byte) error {
	if json.Valid(body) && utf8.Valid(body) {
		return nil
	}
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw) // says where the fault is
	if name := encoding(body); name != "" {
		return fmt.Errorf("not JSON: the message is %s; expected text in UTF-8", name)
	}
	if !utf8.Valid(body) {
		at := 0
		for r, n := utf8.DecodeRune(body); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(body[at:]) {
			at += n
		}
		return fmt.Errorf("not JSON: %s: byte %d is not UTF-8, the encoding of JSON; the message is in another, such as ISO 8859-1 or Windows-1252, or holds what is not text", Place(body, at), at+1)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at := int(max(0, min(syntax.Offset, int64(len(body)))-1)) // the unexpected byte, or the last one
		start, said := syntaxFault(body, at, err.Error())
		return fmt.Errorf("not JSON: %s: %s", Place(body, start), said)
	}
	return fmt.Errorf("not JSON: %w", err)
}

// Place returns the line and the column of the byte at, both from 1.
func Place(body []byte, at int) string {
	line := body[bytes.LastIndexByte(body[:at], '\n')+1 : at]
	return fmt.Sprintf("line %d, column %d", 1+bytes.Count(body[:at], []byte("\n")), 1+utf8.RuneCount(line))
}

// encoding names the compression or the foreign encoding that body begins with, or returns "" if it finds none.
func encoding(body []byte) string {
	for _, e := range []struct{ begins, name string }{
		{"\x1f\x8b", "compressed with gzip"},
		{"\x28\xb5\x2f\xfd", "compressed with zstd"},
		{"\x78\x01", "compressed with zlib"}, {"\x78\x5e", "compressed with zlib"},
		{"\x78\x9c", "compressed with zlib"}, {"\x78\xda", "compressed with zlib"},
		{"BZh", "compressed with bzip2"},
		{"\xfd7zXZ\x00", "compressed with xz"},
		{"\xff\xfe\x00\x00", "in UTF-32"}, {"\x00\x00\xfe\xff", "in UTF-32"},
		{"\xff\xfe", "in UTF-16"}, {"\xfe\xff", "in UTF-16"},
		{"\xef\xbb\xbf", "in UTF-8 with a byte order mark, which JSON has none of"},
	} {
		if bytes.HasPrefix(body, []byte(e.begins)) {
			return e.name
		}
	}
	if len(body) < 4 {
		return ""
	}
	// JSON begins with two ASCII characters: without a byte order mark, the position of the zeros shows the encoding.
	switch zero := [4]bool{body[0] == 0, body[1] == 0, body[2] == 0, body[3] == 0}; zero {
	case [4]bool{true, true, true, false}, [4]bool{false, true, true, true}:
		return "in UTF-32"
	case [4]bool{true, false, true, false}, [4]bool{false, true, false, true}:
		return "in UTF-16"
	}
	return ""
}

// syntaxFault explains a syntax error: err is the text of encoding/json, which stopped at body[at]. start is the index of the
// byte where the fault begins.
func syntaxFault(body []byte, at int, err string) (start int, said string) {
	before := bytes.TrimRight(body[:at], " \t\r\n")
	if len(before) == 0 || strings.HasPrefix(err, "unexpected end") || strings.Contains(err, "max depth") || strings.Contains(err, "top-level") {
		return at, err
	}
	r, _ := utf8.DecodeRune(body[at:])
	last := before[len(before)-1]
	isKey := strings.Contains(err, "beginning of object key")
	behind := strings.Contains(err, "after object key:value pair") || strings.Contains(err, "after array element")
	switch {
	case strings.ContainsRune("“”„‟«»‘’", r):
		return at, fmt.Sprintf("the quotation mark %c is typographic; JSON takes \" only", r)
	case strings.Contains(err, "in string literal"), strings.Contains(err, "in string escape"), strings.Contains(err, "hexadecimal"):
		return at, err
	case (isKey || strings.Contains(err, "beginning of value")) && r == '\'':
		return at, "a single quotation mark; JSON takes \" only"
	case last == ',' && (r == '}' || r == ']'):
		return len(before) - 1, fmt.Sprintf("the comma has nothing after it; leave it out before %c", r)
	case r == '/' || r == '#':
		return at, err + "; JSON has no comments"
	case isKey && isWord(r):
		return at, fmt.Sprintf("the key %s has no quotation marks", word(body, at))
	case strings.HasSuffix(err, "after object key") && (isWord(r) || r == '"' || r == '[' || r == '{'):
		return at, err + "; a colon, or a quotation mark of the key, is missing"
	case isWord(r) && !(behind && len(before) == at && last == '"'):
		start = at
		for start > 0 && isWord(rune(body[start-1])) {
			start--
		}
		if behind && start == at {
			break // a value begins here
		}
		switch w := word(body, start); w {
		case "True", "TRUE", "False", "FALSE":
			return start, fmt.Sprintf("%s is not JSON; write %s", w, strings.ToLower(w))
		case "None", "nil", "undefined", "NULL", "Null":
			return start, fmt.Sprintf("%s is not JSON; write null, or leave the key out", w)
		case "NaN", "Infinity", "-Infinity":
			return start, fmt.Sprintf("%s is not a JSON number; JSON has no NaN or Infinity", w)
		default:
			if digits := strings.ToLower(strings.TrimLeft(w, "+-")); strings.HasPrefix(digits, "0x") {
				return start, fmt.Sprintf("%s is not a number as JSON writes it; write it in decimal", w)
			}
			if strings.Trim(w, "0123456789.-+eE") == "" {
				return start, fmt.Sprintf("%s is not a number as JSON writes it: no zero before other digits, no + before, digits on both sides of a point", w)
			}
			return start, fmt.Sprintf("the value %s has no quotation marks", w)
		}
	}
	if behind && (isWord(r) || r == '"' || r == '{' || r == '[') {
		return at, fmt.Sprintf("a comma is missing before %s", word(body, at))
	}
	return at, err
}

func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '.' || r == '$'
}

// word returns the word or the string that begins at the byte at, cut after limit bytes.
func word(body []byte, at int) string {
	const limit = 60
	text := string(body[at:min(len(body), at+4*limit)])
	end := strings.IndexFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,:{}[]\"'", r) })
	if text[0] == '"' {
		end = strings.IndexByte(text[1:], '"') + 2
		if end < 2 {
			end = 1
		}
	} else if end == 0 {
		end = 1
	}
	if end >= 0 {
		text = text[:end]
	}
	cut := ""
	if i := strings.IndexByte(text, '='); i > 0 && i < limit { // the rest may be a secret
		text, cut = text[:i+1], "..."
	} else if len(text) > limit {
		text, cut = strings.ToValidUTF8(text[:limit], ""), "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text) + cut
}

// kind names the type of a valid JSON value, in the words of an error.
func kind(raw json.RawMessage) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func wrongKind(want string, raw json.RawMessage) error {
	return fmt.Errorf("expected %s, got %s", want, kind(raw))
}

func decodeString(raw json.RawMessage) (string, error) {
	if kind(raw) != "a string" {
		return "", wrongKind("a string", raw)
	}
	return unquote(raw)
}

// decodeSeconds reads a whole number of seconds, 0 or more.
func decodeSeconds(to **int, raw json.RawMessage) error {
	if kind(raw) != "a number" {
		return wrongKind("a whole number of seconds", raw)
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 0 || n > math.MaxInt32 {
		return fmt.Errorf("expected a whole number of seconds from 0 to %d, got %s", math.MaxInt32, flagval.Quote(string(raw)))
	}
	*to = &n
	return nil
}

// decodeStrings reads an array of strings. The result is never nil: nil means that the key is missing.
func decodeStrings(raw json.RawMessage) ([]string, error) {
	if kind(raw) != "an array" {
		return nil, wrongKind("an array of strings", raw)
	}
	items := array(raw)
	list := make([]string, len(items))
	for i, item := range items {
		var err error
		if list[i], err = decodeString(item); err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return list, nil
}
