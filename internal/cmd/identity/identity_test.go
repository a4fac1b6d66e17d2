package identity

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestIdentity: what is different stays so.
func TestIdentity(t *testing.T) {
	seen := map[string]string{}
	for _, j := range []intake.Job{
		{Queue: "q", MessageID: "id"}, {Queue: "p", MessageID: "id"}, {Queue: "q", MessageID: "id", Body: []byte("b")},
		{Queue: "q", Copy: "one"}, {Queue: "q", Copy: "two"}, {Queue: "q", Copy: "one", Body: []byte("b")}, {Queue: "q", MessageID: "one"},
		{Queue: "q", MessageID: "id\xe8"}, {Queue: "q", MessageID: "id\xe9"}, {Queue: "q", MessageID: "id\ufffd"},
	} {
		i := Of(j)
		for _, known := range []string{i.Key(), i.suffix, i.Labels(true)[LabelJob] + i.Labels(true)[LabelQueue] + i.Digest} {
			if other, ok := seen[known]; ok {
				t.Errorf("%q and %q are both known as %q", other, j.MessageID, known)
			}
			seen[known] = j.MessageID
		}
	}
	bytes, text := Of(intake.Job{MessageID: "id\xe9"}), Of(intake.Job{MessageID: `id\xe9`})
	if bytes.Key() == text.Key() || bytes.suffix == text.suffix {
		t.Error("a byte and its description are taken for one")
	}
	here, there := intake.Place{VHost: "/", Broker: "rabbit@here"}, intake.Place{VHost: "v2", Broker: "rabbit@here"}
	a, b := Of(intake.Job{Queue: "q", MessageID: "id", Place: here}), Of(intake.Job{Queue: "q", MessageID: "id", Place: there})
	if a.suffix == b.suffix || a.OfQueue(b.Labels(true)) || b.OfQueue(a.Labels(true)) {
		t.Error("queues of two virtual hosts are taken for one")
	}
	at := Of(intake.Job{Queue: "q", MessageID: "id", Place: intake.Place{VHost: "v2@x", Broker: "rabbit@here"}})
	if b.OfQueue(at.Labels(true)) || at.OfQueue(b.Labels(true)) {
		t.Error("a virtual host is taken for one whose name goes on with an @")
	}
	renamed := Of(intake.Job{Queue: "q", MessageID: "id", Place: intake.Place{VHost: "/", Broker: "rabbit@there"}})
	if a.suffix != renamed.suffix || !a.OfQueue(renamed.Labels(true)) {
		t.Error("a broker that was renamed is taken for another")
	}
}
