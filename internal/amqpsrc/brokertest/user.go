package brokertest

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
)

// Password is the password of each User. The tests' output is searched for it: see scripts/testreport.
const Password = "s3cret-of-the-tests"

// A User is a user of the broker, deleted when the test ends.
type User struct {
	t    testing.TB
	Name string
}

// NewUser creates a user without any permission.
func NewUser(t testing.TB) *User {
	t.Helper()
	return NamedUser(t, "test-"+strings.ToLower(rand.Text()[:12]))
}

// NamedUser is NewUser with a name of the caller's.
func NamedUser(t testing.TB, name string) *User {
	t.Helper()
	u := &User{t, name}
	u.eval(`rabbit_auth_backend_internal:add_user(<<"%s">>, <<"%s">>, <<"test">>)`, u.Name, Password)
	t.Cleanup(func() { u.eval(`rabbit_auth_backend_internal:delete_user(<<"%s">>, <<"test">>)`, u.Name) })
	return u
}

// Permit allows the user to configure, write and read the names that match these patterns, in vhost "/".
func (u *User) Permit(configure, write, read string) {
	u.t.Helper()
	u.eval(`rabbit_auth_backend_internal:set_permissions(<<"%s">>, <<"/">>, <<%q>>, <<%q>>, <<%q>>, <<"test">>)`, u.Name, configure, write, read)
}

func (u *User) eval(format string, args ...any) {
	u.t.Helper()
	if got := Eval(u.t, format, args...); got != "ok" {
		u.t.Fatalf("user %s: %s", u.Name, got)
	}
}

// URL returns the broker's address for the user, with this password.
func (u *User) URL(password string) string {
	u.t.Helper()
	to, err := url.Parse(URL(u.t))
	if err != nil {
		u.t.Fatal(err)
	}
	to.User = url.UserPassword(u.Name, password)
	return to.String()
}
