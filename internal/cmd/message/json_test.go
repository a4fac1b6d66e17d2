package message

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// TestNotJSON: a message that is not JSON is told so in words, with line and column.
func TestNotJSON(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{`{"Dockercmd":"run","Image":"a","Options":{"Memory":012}}`, `line 1, column 52: 012 is not a number as JSON writes it: no zero before other digits, no + before, digits on both sides of a point`},
		{`{"Options":{"Cpus":.5}}`, `line 1, column 20: .5 is not a number as JSON writes it: no zero before other digits, no + before, digits on both sides of a point`},
		{`{"Options":{"Cpus":NaN}}`, `line 1, column 20: NaN is not a JSON number; JSON has no NaN or Infinity`},
		{`{"Options":{"Memory":512m}}`, `line 1, column 22: the value 512m has no quotation marks`},
		{`{"Dockercmd":"run",Image:"a"}`, `line 1, column 20: the key Image has no quotation marks`},
		{"{\n  Dockercmd: \"run\"\n}", `line 2, column 3: the key Dockercmd has no quotation marks`},
		{`{"Dockercmd":"run","Options":{Name:"b"}}`, `line 1, column 31: the key Name has no quotation marks`},
		{"{\"Dockercmd\":\"run\"\n\"Image\":\"a\"}", `line 2, column 1: a comma is missing before "Image"`},
		{`{"Env":["A=1" "TOKEN=hunter2"]}`, `line 1, column 15: a comma is missing before "TOKEN=...`},
		{`{"Env":[TOKEN=hunter2]}`, `line 1, column 9: the value TOKEN=... has no quotation marks`},
		{`{"a":1 "` + "\x1b[2J\n" + strings.Repeat("b", 100) + `"}`, `line 1, column 8: a comma is missing before "?[2J?` + strings.Repeat("b", 54) + "..."},
		{`{"Dockercmd":"run","Cmd":["é" "b"]}`, `line 1, column 31: a comma is missing before "b"`},
		{`{"Options":{"Remove":true "Name":"b"}}`, `line 1, column 27: a comma is missing before "Name"`},
		{`{"Options":[1 2]}`, `line 1, column 15: a comma is missing before 2`},
		{`{'Dockercmd':'run'}`, `line 1, column 2: a single quotation mark; JSON takes " only`},
		{`{"Dockercmd":'run'}`, `line 1, column 14: a single quotation mark; JSON takes " only`},
		{`{"Dockercmd":"run",}`, `line 1, column 19: the comma has nothing after it; leave it out before }`},
		{`{"Cmd":["a",]}`, `line 1, column 12: the comma has nothing after it; leave it out before ]`},
		{`{"Options":{"Remove":True}}`, `line 1, column 22: True is not JSON; write true`},
		{`{"Options":{"Remove":None}}`, `line 1, column 22: None is not JSON; write null, or leave the key out`},
		{`{"Image":nginx}`, `line 1, column 10: the value nginx has no quotation marks`},
		{`{"Memory":512m}`, `line 1, column 11: the value 512m has no quotation marks`},
		{`{“Dockercmd”:"run"}`, `line 1, column 2: the quotation mark “ is typographic; JSON takes " only`},
		{"{\"a\":\"\xe9\"}", `line 1, column 7: byte 7 is not UTF-8, the encoding of JSON; the message is in another, such as ISO 8859-1 or Windows-1252, or holds what is not text`},
		{`{"a": 0x10}`, `line 1, column 7: 0x10 is not a number as JSON writes it; write it in decimal`},
		{"{\n\"a\":\"é\xe9\"}", `line 2, column 7: byte 10 is not UTF-8, the encoding of JSON; the message is in another, such as ISO 8859-1 or Windows-1252, or holds what is not text`},
	} {
		if _, err := Decode([]byte(tt.body), 0, false); err == nil || err.Error() != "not JSON: "+tt.want {
			t.Errorf("%s:\ngot  %v\nwant not JSON: %s", tt.body, err, tt.want)
		}
	}
}

// TestOtherEncodings: a body that is no UTF-8 text is refused by the name of its encoding.
func TestOtherEncodings(t *testing.T) {
	const text = `{"Dockercmd":"run","Image":"a"}`
	wide := func(order []int) string { // the place of the low byte among those of a unit
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(text)) {
			for _, low := range order {
				b.WriteByte(byte(low) * byte(u))
			}
		}
		return b.String()
	}
	for _, tt := range []struct{ body, want string }{
		{"\x1f\x8b\x08\x00\x00", "compressed with gzip"},
		{"\x78\x9c\x01\x02\x03", "compressed with zlib"},
		{"\x28\xb5\x2f\xfd\x01", "compressed with zstd"},
		{wide([]int{1, 0}), "in UTF-16"},
		{wide([]int{0, 1}), "in UTF-16"},
		{"\xff\xfe" + wide([]int{1, 0}), "in UTF-16"},
		{"\xfe\xff" + wide([]int{0, 1}), "in UTF-16"},
		{wide([]int{1, 0, 0, 0}), "in UTF-32"},
		{wide([]int{0, 0, 0, 1}), "in UTF-32"},
		{"\xff\xfe\x00\x00" + wide([]int{1, 0, 0, 0}), "in UTF-32"},
	} {
		want := "not JSON: the message is " + tt.want + "; expected text in UTF-8"
		if _, err := Decode([]byte(tt.body), 0, false); err == nil || err.Error() != want {
			t.Errorf("%.20q:\ngot  %v\nwant %s", tt.body, err, want)
		}
	}
}
