package subcommand

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// Agreed asks the user a question, and reports whether the answer is yes. Its error is the cause of ctx.
func (p *Invocation) Agreed(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(p.Stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read of stdin cannot be interrupted: the goroutine may remain until the program ends
		line, _ := bufio.NewReader(p.Stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		return a == "y" || a == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(p.Stderr)
		return false, context.Cause(ctx)
	}
}
