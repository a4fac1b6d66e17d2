package dockerapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestRemembersCreation(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, tt := range []struct {
		name, answer string
		status       int
		want         bool
		err          error
	}{
		{"yes", `{"status":"create","Type":"container","Action":"create","Actor":{"ID":"x"}}` + "\n", 200, true, nil},
		{"no", "", 200, false, nil},
		{"something else", `{"Action":"start"}`, 200, false, nil},
		{"no JSON", "<html>", 200, false, ErrUnreachable},
		{"cut", `{"Act`, 200, false, ErrUnreachable},
		{"refused", `{"message":"i/o timeout"}`, 500, false, ErrTemporary},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/_ping" {
					w.Header().Set("Api-Version", "1.41")
					return
				}
				q := r.URL.Query()
				if r.Method != "GET" || r.URL.Path != "/v1.41/events" || q.Get("filters") != `{"container":["`+fullID+`"],"event":["create"]}` ||
					q.Get("since") != fmt.Sprint(created.Unix()-1) || q.Get("until") != fmt.Sprint(created.Unix()+10) {
					t.Errorf("request %s %s", r.Method, r.URL)
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.answer)
			})
			got, err := c.RemembersCreation(t.Context(), Container{ID: fullID, Created: created})
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestRemembersKill: only a signal that the engine was asked to send is one, of all that it remembers.
func TestRemembersKill(t *testing.T) {
	started := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	const kill = `{"Action":"kill","Actor":{"Attributes":{"signal":"%d","image":"x"}}}` + "\n"
	for _, tt := range []struct {
		name, answer string
		want         bool
	}{
		{"that signal", fmt.Sprintf(kill, 9), true},
		{"behind another", fmt.Sprintf(kill, 15) + fmt.Sprintf(kill, 9), true},
		{"another", fmt.Sprintf(kill, 15), false},
		{"none", "", false},
		{"no signal", `{"Action":"kill"}`, false},
		{"something else", `{"Action":"die","Actor":{"Attributes":{"signal":"9"}}}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/_ping" {
					w.Header().Set("Api-Version", "1.41")
					return
				}
				q := r.URL.Query()
				if r.URL.Path != "/v1.41/events" || q.Get("filters") != `{"container":["`+fullID+`"],"event":["kill"]}` ||
					q.Get("since") != fmt.Sprint(started.Unix()) || q.Get("until") != fmt.Sprint(started.Unix()+61) {
					t.Errorf("request %s %s", r.Method, r.URL)
				}
				fmt.Fprint(w, tt.answer)
			})
			ctr := Container{ID: fullID, State: State{StartedAt: started, FinishedAt: started.Add(time.Minute)}}
			if got, err := c.RemembersKill(t.Context(), ctr, 9); got != tt.want || err != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// TestRemembersSilent: an engine that does not answer in time is unreachable. The error is not that of the caller's context,
// which goes on. An answer without an end, as by an engine whose clock is behind, holds no such event.
func TestRemembersSilent(t *testing.T) {
	for name, want := range map[string]error{"no header": ErrUnreachable, "no end": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
				if answerPing(w, r) {
					return
				}
				if want == nil {
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
			c.limits.events = 500 * time.Millisecond
			ctx := background(t)
			if got, err := c.RemembersCreation(ctx, Container{ID: "x"}); got || !errors.Is(err, want) || isContextError(err) {
				t.Errorf("creation: %v, %v", got, err)
			}
			if got, err := c.RemembersKill(ctx, Container{ID: "x"}, 9); got || !errors.Is(err, want) || isContextError(err) {
				t.Errorf("kill: %v, %v", got, err)
			}
		})
	}
}

func TestRemembersCreationReal(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		ctr, err := c.InspectContainer(ctx, createReal(t, ctx, c, testName(), ContainerConfig{}))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if ok, err := c.RemembersCreation(ctx, ctr); !ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
		if took := time.Since(began); took > creationTakes/2 {
			t.Errorf("waited %v for what is known", took)
		}
		ctr.ID = fullID // as one of which the engine has no memory
		ctr.Created = ctr.Created.Add(-time.Minute)
		if ok, err := c.RemembersCreation(ctx, ctr); ok || err != nil {
			t.Errorf("of another container: %v, %v", ok, err)
		}
	})
}
