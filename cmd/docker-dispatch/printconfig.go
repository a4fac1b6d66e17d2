package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// print writes each setting, its value and where that is from. It hides the broker's password. It is text only: --format
// is one of the settings.
func (s *settings) print(w io.Writer) error {
	t := ui.Table{Width: math.MaxInt}
	row := func(setting, value, from string) {
		t.Rows = append(t.Rows, ui.Cells(setting, cmp.Or(ui.PlainLine(value), "(none)"), from))
	}
	broker := s.amqpURL
	if broker != "-" {
		broker = wire.Redact(broker)
	}
	row("SETTING", "VALUE", "FROM")
	row(dockerArgument, s.dockerHost.String(), s.options.From(dockerArgument))
	row(amqpArgument, broker, s.options.From(amqpArgument))
	for _, f := range s.options.Flags() {
		if len(s.options.VariablesOf(f.Name)) > 0 {
			row("--"+f.Name, s.options.Lookup(f.Name).Value.String(), s.options.From(f.Name))
		}
	}
	row("API version", s.apiVersion, s.options.From("API version"))
	row("registry logins", s.credentials.File(), s.options.From("registry logins"))
	_, err := fmt.Fprintln(w, strings.Join(t.Lines(), "\n"))
	return err
}
