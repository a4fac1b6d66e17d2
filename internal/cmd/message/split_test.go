package message

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzObject: an object has the members that encoding/json finds, and an array the items.
func FuzzObject(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { } `, `{"a":1}`, "{\n\t\"a\" : [ 1 , {\"b\":\"]}\"} ] , \"\\u0061b\\\"\":\"\\\\\",\"\":null\r}\n", `{"a":1,"\u0061":2}`, `{"\ud800":-1.5e+3,"é":true}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if CheckJSON([]byte(text)) != nil || kind([]byte(text)) != "an object" {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		members, err := object([]byte(text))
		if err != nil && strings.HasPrefix(err.Error(), "duplicate key ") {
			return // see TestDecodeErrors
		} else if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := make(map[string]json.RawMessage)
		for _, m := range members {
			got[m.key] = m.value
			if kind(m.value) == "an array" {
				var items []json.RawMessage
				if err := json.Unmarshal(m.value, &items); err != nil || len(items) > 0 && !reflect.DeepEqual(array(m.value), items) {
					t.Errorf("%s: items %q, by encoding/json %q, %v", m.value, array(m.value), items, err)
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: members %q, by encoding/json %q", text, got, want)
		}
	})
}

// TestDuplicateKeys: a key that stands twice is found in short objects and in long ones.
func TestDuplicateKeys(t *testing.T) {
	for _, n := range []int{1, 32, 33, 100} {
		var members []member
		for i := range n {
			members = append(members, member{key: string(rune('0' + i))})
		}
		if key, ok := duplicate(members); ok {
			t.Errorf("%d members: %q is no duplicate", n, key)
		}
		if key, ok := duplicate(append(members, member{key: "0"})); !ok || key != "0" {
			t.Errorf("%d members and a duplicate: got %q, %v", n, key, ok)
		}
	}
}
