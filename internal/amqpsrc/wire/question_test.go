package wire

import (
	"strings"
	"testing"
)

// TestQuestionKey: each queue has a key of its own, which is no longer than a key may be.
func TestQuestionKey(t *testing.T) {
	seen := make(map[string]bool)
	for _, queue := range []string{"jobs", "jobs2", strings.Repeat("q", 232), strings.Repeat("q", 233), strings.Repeat("q", 255), "x" + strings.Repeat("q", 254)} {
		key := QuestionKey(queue)
		if len(key) > 255 || seen[key] || !strings.HasPrefix(key, "docker-dispatch.status.") {
			t.Errorf("%s: %s", queue, key)
		}
		seen[key] = true
	}
}

// TestAnswerable: no queue of others is answered.
func TestAnswerable(t *testing.T) {
	for queue, want := range map[string]bool{
		"amq.rabbitmq.reply-to.g1h2.abc": true, "amq.gen-abc": true,
		"": false, "jobs": false, "amq.rabbitmq.reply-to": false, "amq.rabbitmq.reply-tox": false, "amq.genx": false, "xamq.gen-abc": false,
	} {
		if Answerable(queue) != want {
			t.Errorf("%q: %v", queue, !want)
		}
	}
}
