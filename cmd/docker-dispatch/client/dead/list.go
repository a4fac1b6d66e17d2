package dead

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

// list prints all dead letters. They stay in the queue, in order.
func (m *morgue) list(ctx context.Context, c *client.Client) error {
	n, err := m.count(ctx, c)
	if err != nil {
		return err
	}
	if n == 0 {
		fmt.Fprintf(m.Process.Stderr, "docker-dispatch: no dead letters in %s\n", ui.PlainLine(m.from))
		return nil
	}
	var shown []letter
	looked, seen := 0, make(map[identity]bool)
	l := m.look(c)
	err = l.over(ctx, n, func(lot []client.Received) error {
		looked += len(lot)
		for _, r := range lot {
			id := identityOf(r)
			if id == (identity{}) || !seen[id] { // else it is a second copy, left by a killed look
				shown = append(shown, letterOf(r, time.Now()))
			}
			seen[id] = true
		}
		return nil
	})
	l.end()
	defer m.returned(ctx, l, looked) // otherwise the next look does not find them
	if _, short := errors.AsType[*ui.Hinted](err); err != nil && !short {
		return err
	}
	if m.format == "json" {
		if err := ui.WriteJSON(m.Process.Stdout, shown); err != nil {
			return err
		}
	} else if len(shown) > 0 {
		t := ui.Table{Rows: [][]ui.Cell{ui.Cells("ID", "AGE", "REASON", "WHAT", "ERROR")}, Width: math.MaxInt, Colours: ui.Colours(m.Process.Stdout, m.Process.Getenv)}
		for _, l := range shown {
			row := ui.Cells(l.Id, l.age, cmp.Or(ui.PlainLine(l.Reason), "-"), l.what(), cmp.Or(ui.PlainLine(l.Error), "-"))
			row[2].Colour = ui.Red
			t.Rows = append(t.Rows, row)
		}
		if _, err := fmt.Fprintln(m.Process.Stdout, strings.Join(t.Lines(), "\n")); err != nil {
			return err
		}
	}
	return err
}

// returned waits until n messages are ready in the queue again, or no more come. Until then the queue looks empty.
// A quorum queue appends them to its log some time after their consumer ended. Any queue is slow with large messages.
func (m *morgue) returned(ctx context.Context, l *look, n int) {
	before, same := -1, 0
	ready, _, err := m.poll(ctx, l.client, func(ready, _ int) bool {
		if same++; ready != before {
			before, same = ready, 0
		}
		return ready >= n || same == asksASecond+l.bytes>>22
	})
	if err == nil && ready < n {
		fmt.Fprintf(m.Process.Stderr, "docker-dispatch: warning: of %s that were looked at the broker shows %d again; the others have been taken by somebody else, or come back later\n", ui.Counted(n, "dead letter"), ready)
	}
}

// A letter is a dead letter as list shows it.
type letter struct {
	Id      string
	Reason  string    `json:",omitempty"`
	Error   string    `json:",omitempty"`
	Time    time.Time `json:",omitzero"`
	Host    string    `json:",omitempty"`
	Queue   string    `json:",omitempty"`
	Copy    string    `json:",omitempty"`
	Command string    `json:"Dockercmd,omitempty"`
	Target  string    `json:",omitempty"` // the image, else the container, else the job
	Bytes   int       // of the body
	Body    string    `json:",omitempty"` // the first bytes, to recognize the message by; only if the body has no command

	age string
}

func letterOf(r client.Received, now time.Time) letter {
	d := r.DeadLetter()
	l := letter{
		Id: idOf(r), Reason: d.Reason, Error: d.Error, Time: d.Time, Host: d.Host, Queue: d.Queue, Copy: d.Copy,
		Bytes: len(r.Body), age: "-",
	}
	if !d.Time.IsZero() {
		l.age = ui.Age(now.Sub(d.Time))
	}
	// Not message.Decode, because it refused many of the dead letters.
	var body struct{ Dockercmd, Image, Container, Job string }
	err := json.Unmarshal(r.Body, &body)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); err == nil || ok {
		l.Command, l.Target = body.Dockercmd, cmp.Or(body.Image, body.Container, body.Job)
	}
	if l.Command == "" {
		const most = 40
		l.Body = strings.ToValidUTF8(string(r.Body[:min(most, len(r.Body))]), "?")
		if len(r.Body) > most {
			l.Body += "..."
		}
	}
	return l
}

func (l letter) what() string {
	if l.Command == "" {
		return cmp.Or(l.Body, "(empty)")
	}
	return strings.TrimSpace(l.Command + " " + l.Target)
}
