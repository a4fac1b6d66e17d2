package holding

import (
	"fmt"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// take empties c, and returns what it held: the keys in their order, those that stay with a "+".
func take(c *Claims) (all string) {
	for {
		key, stays, ok := c.Take()
		if !ok {
			return all
		}
		if all += key.Key; stays {
			all += "+"
		}
	}
}

func TestClaims(t *testing.T) {
	job, name, other := intake.ClaimKey{Kind: "job", Key: "j"}, intake.NameKey("n"), intake.NameKey("o")
	for i, tt := range []struct {
		do         func(a, b *Claims)
		a, b       string
		ends, drop bool // of a; the name
	}{
		{do: func(a, b *Claims) {}},
		{do: func(a, b *Claims) { a.Hold(job); a.Hold(name) }, a: "jn", ends: true, drop: true},
		{do: func(a, b *Claims) { a.Hold(name); a.Leave(name); a.Leave(job) }, a: "n+", drop: true},
		{do: func(a, b *Claims) { a.Hold(job); a.Hold(name); a.Leave(name) }, a: "jn+", ends: true, drop: true},
		{do: func(a, b *Claims) { b.Hold(job); a.Hold(name); a.Leave(name); a.Give(name, b) }, b: "jn"},
		{do: func(a, b *Claims) { b.Hold(job); a.Give(name, b) }, b: "j"},
		{do: func(a, b *Claims) { a.Hold(name); a.Give(name, b) }, a: "n", ends: true, drop: true},                       // b has ended
		{do: func(a, b *Claims) { a.Hold(name); b.Hold(name); a.Give(name, b) }, a: "n", b: "n", ends: true, drop: true}, // each gives up its own
		{do: func(a, b *Claims) { // a renames the container of b
			b.Hold(job)
			b.Hold(name)
			a.Hold(other)
			b.Give(name, a)
			a.Give(other, b)
		}, a: "n", b: "jo", ends: true, drop: true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var a, b Claims
			tt.do(&a, &b)
			if a.Ends() != tt.ends || a.Holds(name) != tt.drop {
				t.Errorf("ends %v, holds the name %v", a.Ends(), a.Holds(name))
			}
			if a, b := take(&a), take(&b); a != tt.a || b != tt.b {
				t.Errorf("a holds %q, want %q; b holds %q, want %q", a, tt.a, b, tt.b)
			}
			tt.do(&a, &b)
			if a.Drop(name) != tt.drop || a.Holds(name) {
				t.Errorf("drops the name: %v", !tt.drop)
			}
		})
	}
}
