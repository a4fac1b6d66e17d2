package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// A host is one as the list shows it. Everything in it may be a stranger's.
type host struct {
	Host    string
	State   string            // alive, away or released
	Seen    *time.Time        `json:",omitempty"` // when it was last known to be alive, if it is away; nil: not known
	Running *int              `json:",omitempty"` // jobs; nil: its daemon has not answered
	Engine  string            `json:",omitempty"` // "away" if its daemon has answered so
	Waiting int               // messages that only this host takes
	Labels  map[string]string `json:",omitempty"`
}

// The states.
const alive, away, released = "alive", "away", "released"

// list prints the hosts of the queue.
func (h *invocation) list(ctx context.Context, c *client.Client) error {
	hosts, err := h.hosts(ctx, c)
	if err != nil {
		return err
	}
	if len(hosts) == 0 {
		name := ui.PlainLine(h.Queue)
		return ui.WithHint(name+" has no hosts", "a daemon that has --host NAME is one; docker-dispatch ps -q "+name+" asks those without", ui.ExitFailed)
	}
	if err := h.askRunning(ctx, hosts); err != nil {
		fmt.Fprintf(h.Process.Stderr, "docker-dispatch: warning: the daemons cannot be asked how many jobs run: %s\n", ui.PlainLine(err.Error()))
	}
	if h.format == "json" {
		return ui.WriteJSON(h.Process.Stdout, hosts)
	}
	width := 200
	if ui.IsTerminal(h.Process.Stdout) {
		width, _ = ui.Screen(h.Process.Stdout)
	}
	t := table(hosts, time.Now())
	t.Width, t.Colours = width, ui.Colours(h.Process.Stdout, h.Process.Getenv)
	_, err = fmt.Fprintln(h.Process.Stdout, strings.Join(t.Lines(), "\n"))
	return err
}

// hosts returns the hosts that the broker knows.
func (h *invocation) hosts(ctx context.Context, c *client.Client) (hosts []host, err error) {
	if _, _, err := c.Ready(ctx, h.Queue); err != nil && !errors.Is(err, wire.ErrForbidden) { // it may be mistyped
		return nil, err
	}
	records, err := c.Hosts(ctx, h.Queue)
	for _, r := range records {
		o := host{Host: r.Host, State: away, Waiting: r.Waiting, Labels: r.Labels}
		switch {
		case r.Alive:
			o.State = alive
		case r.Released:
			o.State = released
		case !r.Seen.IsZero():
			o.Seen = &r.Seen
		}
		hosts = append(hosts, o)
	}
	return hosts, err
}

// mostAnswers and mostAnswered bound the answers and their bytes: anybody may send some.
const mostAnswers, mostAnswered = 1000, 64 << 20

// askRunning asks the daemons of the hosts that are alive how many jobs run there. It waits for all of them, at most h.wait.
func (h *invocation) askRunning(ctx context.Context, hosts []host) error {
	missing := 0
	for _, o := range hosts {
		if o.State == alive {
			missing++
		}
	}
	if missing == 0 {
		return nil
	}
	c, err := h.Connect(ctx, client.Config{Asks: true, Blocked: func(string) {}})
	if err != nil {
		return err
	}
	defer subcommand.Close(c)
	asking, stop := context.WithTimeout(ctx, h.wait)
	defer stop()
	answers, err := c.Ask(asking, h.Queue)
	if errors.Is(err, client.ErrNobody) {
		return nil
	} else if err != nil {
		return err
	}
	bytes, n := 0, 0
	for body := range answers {
		n, bytes = n+1, bytes+len(body)
		s, err := status.Decode(body)
		i := slices.IndexFunc(hosts, func(o host) bool { return o.Host == s.Host && o.State == alive && o.Running == nil })
		if err == nil && s.Queue == h.Queue && i >= 0 {
			hosts[i].Running = new(max(0, s.Running.Count))
			if slices.ContainsFunc(s.Conditions, func(c status.Condition) bool { return c.Name == "engine" && c.State == status.Unmet }) {
				hosts[i].Engine = away
			}
			missing--
		}
		if missing == 0 || n == mostAnswers || bytes > mostAnswered {
			break
		}
	}
	return nil
}

// table lays the hosts out for people.
func table(hosts []host, now time.Time) ui.Table {
	t := ui.Table{Rows: [][]ui.Cell{ui.Cells("HOST", "STATE", "RUNNING", "WAITING", "LABELS")}}
	for _, o := range hosts {
		running := "-"
		if o.Running != nil {
			running = strconv.Itoa(*o.Running)
		}
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(o.Labels)) {
			labels = append(labels, key+"="+o.Labels[key])
		}
		row := ui.Cells(o.Host, "", running, strconv.Itoa(o.Waiting), strings.Join(labels, ","))
		row[1] = o.state(now)
		t.Rows = append(t.Rows, row)
	}
	return t
}

// state says how a host is.
func (o host) state(now time.Time) ui.Cell {
	switch {
	case o.State == alive && o.Engine == away:
		return ui.Cell{Text: "alive, engine away", Colour: ui.Red}
	case o.State == alive:
		return ui.Cell{Text: alive, Colour: ui.Green}
	case o.State == released:
		return ui.Cell{Text: released}
	}
	return ui.Cell{Text: cmp.Or(o.lastSeen(now), "not seen"), Colour: ui.Red}
}

// lastSeen says since when a host is away; "": not known.
func (o host) lastSeen(now time.Time) string {
	if o.Seen == nil {
		return ""
	}
	return fmt.Sprintf("not seen since %s (%s ago)", o.Seen.UTC().Format("2006-01-02 15:04:05Z"), ui.Age(now.Sub(*o.Seen)))
}
