package dockerapi

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCalls: the client makes each call of the table, and none besides. TestEndpoints shows that it makes those of
// endpoints.
func TestCalls(t *testing.T) {
	var made []string
	for _, e := range endpoints {
		request, _, _ := strings.Cut(e.request, "?")
		made = append(made, request)
	}
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		made = append(made, r.Method+" "+r.URL.Path)
		if !answerPing(w, r) || r.Method == "HEAD" {
			w.WriteHeader(405)
		}
	})
	if _, err := c.Ping(background(t)); err != nil {
		t.Error(err)
	}
	for _, call := range Calls() {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(call.Route), ".+") + "$")
		if !slices.ContainsFunc(made, pattern.MatchString) {
			t.Errorf("%s is not made", call.Route)
		}
		made = slices.DeleteFunc(made, pattern.MatchString)
	}
	if len(made) > 0 {
		t.Errorf("not in the table: %q", made)
	}
	if !slices.IsSortedFunc(Calls(), func(a, b Call) int { return strings.Compare(a.Route, b.Route) }) {
		t.Error("not sorted")
	}
}
