package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// know remembers what a job can claim, so that a claim that is left can be told. Each host that was released adds a link to a claim.
func (l *hosts) know(job string) {
	for _, key := range []intake.ClaimKey{intake.JobKey("/", l.queue, job), intake.NameKey(job)} {
		text := l.queue + "\x00" + key.Kind + "\x00" + key.Key
		for link, linked := 0, text; link < 8; link++ {
			sum := sha256.Sum256([]byte(linked))
			l.keys[fmt.Sprintf("docker-dispatch.claim.%x", sum[:10])] = key.Kind + " " + job
			linked = fmt.Sprint(link+1) + "\x00" + text
		}
	}
}

// claims lists the claims of the lab's hosts. Those of a host that was released are void, and stay.
func (l *hosts) claims() (claims []string) {
	l.t.Helper()
	all := l.exchanges()
	for name, next := range all {
		life, ours := strings.CutPrefix(next, "docker-dispatch.h.")
		if _, void := all["docker-dispatch.released."+life]; ours && !void && strings.HasPrefix(name, "docker-dispatch.claim.") {
			claims = append(claims, cmp.Or(l.keys[name], name)+" of "+next)
		}
	}
	return claims
}

// exchanges returns the broker's exchanges of the lab's hosts, each with its alternate exchange.
func (l *hosts) exchanges() map[string]string {
	l.t.Helper()
	all := map[string]string{}
	for _, h := range l.all {
		sum := sha256.Sum256([]byte(l.queue + "\x00" + h.name))
		// Only these: a text of over 64 KiB would come back as a list of numbers.
		text := brokertest.Eval(l.t, `string:join([binary_to_list(N) ++ " " ++ binary_to_list(A) || X <- rabbit_exchange:list(<<"/">>),
			[{name, {resource, _, exchange, N}}, {arguments, [{<<"alternate-exchange">>, longstr, A}]}] <- [rabbit_exchange:info(X, [name, arguments])],
			string:find([N, A], ".%x.") =/= nomatch], " ")`, sum[:5])
		for f := strings.Fields(strings.Trim(text, `"`)); len(f) > 1; f = f[2:] {
			all[f[0]] = f[1]
		}
	}
	return all
}
