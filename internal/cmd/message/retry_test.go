package message

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestDecodeRetry(t *testing.T) {
	for _, tt := range []struct{ retry, want string }{
		{`{"Max":3}`, "{3 10s [] []}"},
		{`{"Max":3,"Delay":"1m30s"}`, "{3 1m30s [] []}"},
		{`{"Max":1,"On":["oom","killed",75]}`, "{1 10s [oom killed] [75]}"},
		{`{"Max":"3"}`, "{3 10s [] []}"},
		{`3`, "Options.Retry: expected an object, got a number"},
		{`{}`, `Options.Retry: key "Max" is missing; it says how often to try again`},
		{`{"Max":0}`, `Options.Retry: Max: expected a whole number from 1 to 100, got "0"`},
		{`{"Max":1.5}`, `Options.Retry: Max: expected a whole number, got "1.5"`},
		{`{"Max":3,"Delay":10}`, `Options.Retry: Delay: expected a string, got a number`},
		{`{"Max":3,"Delay":"soon"}`, `Options.Retry: Delay: expected a time such as "90s" or "1h30m", got "soon"`},
		{`{"Max":3,"Delay":"-1s"}`, `Options.Retry: Delay: expected a time such as "90s" or "1h30m", got "-1s"`},
		{`{"Max":3,"Delay":"1000h"}`, `Options.Retry: Delay: 1000h0m0s is more than 24h0m0s`},
		{`{"Max":3,"Dely":"1s"}`, `Options.Retry: unknown key "Dely"; did you mean "Delay"?`},
		{`{"Max":3,"On":[]}`, `Options.Retry: On: expected at least one reason or exit code; leave it out for "exit", "oom" and "timeout"`},
		{`{"Max":3,"On":"exit"}`, `Options.Retry: On: expected an array of reasons and exit codes, such as ["timeout", 75], got a string`},
		{`{"Max":3,"On":["exot"]}`, `Options.Retry: On: item 1: unknown value "exot"; did you mean "exit"?`},
		{`{"Max":3,"On":["exit",0]}`, `Options.Retry: On: item 2: expected an exit code from 1 to 255, got "0"`},
		{`{"Max":3,"On":[true]}`, `Options.Retry: On: item 1: expected a reason or an exit code, got a boolean`},
	} {
		c, err := Decode([]byte(`{"Dockercmd":"run","Image":"a","Options":{"Remove":true,"Retry":`+tt.retry+`}}`), 0, false)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprint(*c.(*Run).Retry)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.retry, got, tt.want)
		}
	}
	if _, err := Decode([]byte(`{"Dockercmd":"run","Image":"a","Options":{"Retry":{"Max":1}}}`), 0, false); err == nil || !strings.Contains(err.Error(), "a Retry needs Attach, Remove or a reply_to") {
		t.Errorf("a retry of a detached run: %v", err)
	}
}

func TestRetryDelay(t *testing.T) {
	r := &Retry{Delay: 10 * time.Second}
	for attempt, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 4: 2 * time.Minute, 50: maxDelay} {
		if got := r.DelayAfter(attempt); got != want {
			t.Errorf("after attempt %d: %v, want %v", attempt, got, want)
		}
	}
	// Whatever strangers ask for: the broker has a queue for each.
	seen := make(map[time.Duration]bool)
	for d := 100 * time.Millisecond; d <= maxDelay; d += d/50 + 1 {
		got := (&Retry{Delay: d}).DelayAfter(1)
		if got < d || got > max(time.Second, 5*d/2) || got%time.Second != 0 {
			t.Errorf("%v is made %v", d, got)
		}
		seen[got] = true
	}
	if len(seen) != len(delays) || len(seen) > 20 {
		t.Errorf("%d delays", len(seen))
	}
}
