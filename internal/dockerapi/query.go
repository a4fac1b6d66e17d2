package dockerapi

import "net/url"

// A query is what follows the path and a question mark, escaped.
type query string

// set adds a key. No key is added twice.
func (q *query) set(key, value string) {
	if *q != "" {
		*q += "&"
	}
	*q += query(key + "=" + url.QueryEscape(value))
}

// flag adds a boolean key, unless it is false: so the engine takes a missing one.
func (q *query) flag(key string, on bool) {
	if on {
		q.set(key, "1")
	}
}
