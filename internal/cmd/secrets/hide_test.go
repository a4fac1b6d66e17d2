package secrets

import (
	"encoding/json"
	"testing"
)

// TestHideSecrets: inspect shows no secret, and all else.
func TestHideSecrets(t *testing.T) {
	const raw = `{"Id": "x", "Size": 12345678901234567890, "Config": {"Env": ["A=b", "T=v4lue", "TT=c", "T=v4lue"], "Image": "i"}, "HostConfig": {}}`
	got, err := Hide(json.RawMessage(raw), map[string]string{Label: "T\nother"})
	const want = `{"Config":{"Env":["A=b","T=(secret)","TT=c","T=(secret)"],"Image":"i"},"HostConfig":{},"Id":"x","Size":12345678901234567890}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if got, err := Hide(json.RawMessage(raw), map[string]string{Label: ""}); err != nil || string(got) != raw {
		t.Errorf("without secrets: %s, %v", got, err)
	}
	for _, bad := range []string{`{"Config": 7}`, `{"Config": {"Env": "T=v4lue"}}`, `[]`} {
		if got, err := Hide(json.RawMessage(bad), map[string]string{Label: "T"}); err == nil || got != nil {
			t.Errorf("%s: %s, %v", bad, got, err)
		}
	}
}
