package brokertest

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Eval has the broker evaluate an Erlang expression, and returns its value. rabbitmqctl would do the same, and
// start a virtual machine each time.
func Eval(t testing.TB, format string, args ...any) string {
	t.Helper()
	out, err := TryEval(t, format, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryEval is Eval for a broker that may be away.
func TryEval(t testing.TB, format string, args ...any) (string, error) {
	t.Helper()
	expression := fmt.Sprintf(format, args...)
	out, err := exec.Command(Required(t, "DISPATCH_TEST_BROKER_EVAL"), expression).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the broker does not evaluate %s: %w\n%s", expression, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Change changes a setting of the whole broker by evaluating erlang, and evaluates back when the test ends.
func Change(t testing.TB, erlang, back string) {
	t.Helper()
	Disturbs(t)
	Eval(t, "%s", erlang)
	t.Cleanup(func() { Eval(t, "%s", back) })
}

// MaxMessageSize limits the broker to messages of at most that many bytes, until the test ends.
func MaxMessageSize(t testing.TB, bytes int) {
	t.Helper()
	// Brokers before 3.13 keep the limit in the first place, later ones in the second.
	const set = "application:set_env(rabbit, max_message_size, %d), persistent_term:put(max_message_size, %[1]d)"
	Change(t, fmt.Sprintf(set, bytes), fmt.Sprintf(set, 16<<20))
}

// CloseConnections has the broker end the connections whose client properties contain all of the parts.
func CloseConnections(t testing.TB, parts ...string) {
	t.Helper()
	n := Eval(t, `F = fun(P) -> try lists:flatten(io_lib:format("~0p", [rabbit_networking:connection_info(P, [client_properties])]))
		catch _:_ -> "" end end,
		length([catch rabbit_networking:close_connection(P, "test") || P <- rabbit_networking:connections(),
			lists:all(fun(S) -> string:find(F(P), S) =/= nomatch end, %s)])`, erlangList(parts))
	if n == "0" {
		t.Fatalf("no connection is %q", parts)
	}
}

func erlangList(strs []string) string {
	quoted := make([]string, len(strs))
	for i, s := range strs {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// Version returns the broker's version, such as "3.10.8".
func (p *Peer) Version() string {
	version, _ := p.Conn().Properties["version"].(string)
	return version
}
