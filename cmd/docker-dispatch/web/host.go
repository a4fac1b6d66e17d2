package web

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
)

// ours refuses a request whose Host may be a stranger's domain. The stranger could point the domain to this address. Then a page of
// that domain could read the answer, in the browser of a user who reaches this address (DNS rebinding). Requests on a unix socket
// pass: no browser uses one.
func ours(answer http.HandlerFunc) http.HandlerFunc {
	self, _ := os.Hostname()
	return func(w http.ResponseWriter, r *http.Request) {
		if _, unix := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); !unix && !ownName(r.Host, self) {
			http.Error(w, "the name in the URL may be a stranger's: use an IP address, localhost, this machine's name or a name without dots, or have the proxy send one of them as Host", http.StatusMisdirectedRequest)
			return
		}
		answer(w, r)
	}
}

// ownName reports whether no stranger can own a Host: it is an address, localhost, the name of this machine, or a name without
// dots, which is of the local network. No browser leaves the Host out, as some probes do.
func ownName(host, self string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	_, err := netip.ParseAddr(host)
	return err == nil || strings.HasSuffix(host, ".localhost") || strings.EqualFold(host, self) || !strings.Contains(host, ".")
}
