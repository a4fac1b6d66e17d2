package dockerapi

import (
	"encoding/json"
	"net/url"
)

// A query is what follows the path and a question mark, escaped.
type query string

// set adds a key, unless the value is empty: the engine takes a missing key for an empty one. No key may be set twice.
func (q *query) set(key, value string) {
	if value == "" {
		return
	}
	if *q != "" {
		*q += "&"
	}
	*q += query(key + "=" + url.QueryEscape(value))
}

// flag adds a boolean key, unless it is false.
func (q *query) flag(key string, on bool) {
	if on {
		q.set(key, "1")
	}
}

// filters adds what events or containers must match, unless that is nothing.
func (q *query) filters(f map[string][]string) {
	if len(f) > 0 {
		text, _ := json.Marshal(f) // strings cannot fail
		q.set("filters", string(text))
	}
}
