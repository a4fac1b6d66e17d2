package flagval

import (
	"strings"
	"testing"
)

func TestParseConstraint(t *testing.T) {
	expected := func(s string) refused {
		return refused{s, "expected KEY==VALUE or KEY!=VALUE, of a label of hosts, got " + Quote(s)}
	}
	long := "k==" + strings.Repeat("v", maxConstraint)
	testParse(t, ParseConstraint, []taken[Constraint]{
		{"gpu==yes", Constraint{Key: "gpu", Value: "yes"}},
		{"zone!=eu", Constraint{Key: "zone", Value: "eu", Not: true}},
		{" zone  !=  eu west ", Constraint{Key: "zone", Value: "eu west", Not: true}},
		{"a.b-c_D9==x", Constraint{Key: "a.b-c_D9", Value: "x"}},
		{"k===", Constraint{Key: "k", Value: "="}},
		{"k==!=", Constraint{Key: "k", Value: "!="}},
		{"k!===", Constraint{Key: "k", Value: "==", Not: true}},
		{long[:maxConstraint], Constraint{Key: "k", Value: long[3:maxConstraint]}},
	}, []refused{
		expected(""), expected("gpu"), expected("gpu=yes"), expected("gpu!yes"), expected("gpu<yes"), expected("==yes"), expected("!=yes"), expected("gpu=="), expected("gpu!= "), expected("g u==yes"), expected("gpu!!=yes"),
		expected("gpu==a\x1b[2J"), expected("gpu==a\nb"), expected("gpu==\xff"), expected("node.labels/x==y"),
		{long, Quote(long) + " has 258 bytes; at most 255 are taken"},
	})
}

// TestConstraintHolds: a host without the label fails ==, and passes !=.
func TestConstraintHolds(t *testing.T) {
	labels := map[string]string{"gpu": "yes", "empty": ""}
	for text, want := range map[string]bool{
		"gpu==yes": true, "gpu==no": false, "gpu!=yes": false, "gpu!=no": true, "GPU==yes": false, "gpu==Yes": false,
		"zone==eu": false, "zone!=eu": true, "empty==x": false, "empty!=x": true,
	} {
		c, err := ParseConstraint(text)
		if err != nil || c.Holds(labels) != want {
			t.Errorf("%s: %v, %v", text, c.Holds(labels), err)
		}
	}
}

// FuzzConstraint: a constraint that is taken says the same when it is written again, and is no condition without a value.
func FuzzConstraint(f *testing.F) {
	for _, s := range []string{"a==b", "a!=b", " a == b c ", "a===", "a!=!=", "=", "!", "a=!b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseConstraint(s)
		if err != nil {
			return
		}
		again, err := ParseConstraint(c.String())
		if err != nil || again != c || c.Holds(nil) != c.Not || c.Holds(map[string]string{c.Key: c.Value}) == c.Not {
			t.Errorf("%q: %+v, then %+v, %v", s, c, again, err)
		}
	})
}

func TestCheckHost(t *testing.T) {
	bad := func(s string) refused {
		return refused{s, "expected the name of a host, 1 to 63 letters, digits, _, . and -, the first a letter or digit, got " + Quote(s)}
	}
	long := strings.Repeat("h", maxHost+1)
	testCheck(t, CheckHost, []string{"a", "9", "Node_1.example-x", long[:maxHost]}, []refused{bad(""), bad(".a"), bad("_a"), bad("a b"), bad("a/b"), bad("é"), bad("a\n"), bad(long)})
}
