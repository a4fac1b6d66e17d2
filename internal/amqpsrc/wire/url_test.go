package wire

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckURL(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		url  string
		want string // a part of the error; "" for none
		show string // what Redact makes of it
	}{
		{"amqp://h", "", "amqp://h"},
		{"AMQP://h/", "", "amqp://h/"},
		{"amqp://guest:s3cret@h:5673/vh", "", "amqp://guest:xxxxx@h:5673/vh"},
		{"amqp://u:@h", "", "amqp://u:xxxxx@h"},
		{"amqp://u:s3cret%2F%40@[::1]:5673/a%2Fb?heartbeat=5", "", "amqp://u:xxxxx@[::1]:5673/a%2Fb?heartbeat=5"},
		{"amqp://u:s3cret@x@h", "", "amqp://u:xxxxx@h"},
		{"amqps://u@h?auth_mechanism=EXTERNAL", "", "amqps://u@h?auth_mechanism=EXTERNAL"},
		{"amqp://h?heartbeat=0&connection_timeout=1&channel_max=0", "", "amqp://h?heartbeat=0&connection_timeout=1&channel_max=0"},
		{"", "is empty", ""},
		{"h:5672", "must begin with amqp://", ""},
		{"guest:s3cret@h", "must begin with amqp://", ""},
		{"amqp:h", "must begin with amqp://", ""},
		{"http://u:s3cret@h", `scheme "http"`, ""},
		{"amqp://u:s3cret@h /", "a space", ""},
		{"amqp://u:s3cret@h\n", "control character", ""},
		{"amqp://", "no host", ""},
		{"amqp:///vh", "no host", ""},
		{"amqp://:5672", "no host", ""},
		{"amqp://u:s3cret@", "no host", ""},
		{"amqp://u:s3%zz@h", "cannot be read", ""},
		{"amqp://u:s3/cret@h", "@ after", ""},
		{"amqp://u:12/s3cret@h", "@ after", ""},
		{"amqp://u:12?s3cret@h", "@ after", ""},
		{"amqp://u:12#s3cret@h", "@ after", ""},
		{"amqp://u:s3cret@h#f", "a # in it", ""},
		{"amqp://u:s3cret@h#", "a # in it", ""},
		{"amqp://u:s3cret@h:0", "1 to 65535", ""},
		{"amqp://u:s3cret@h:65536", "1 to 65535", ""},
		{"amqp://u:s3cret@h:http", "port must be a number", ""},
		{"amqp://u:s3cret@h1:5672,h2:5672/v", "several hosts", ""},
		{"amqp://u:s3cret@h1,h2/v", "several hosts", ""},
		{"amqp://u@h", "without a password", ""},
		{"amqp://:s3cret@h", "no user name", ""},
		{"amqp://h/" + strings.Repeat("v", 256), "vhost of more than 255", ""},
		{"amqp://h?verify=verify_none", "unknown parameter verify", ""},
		{"amqp://h?s3cret=1", "unknown parameter", ""},
		{"amqp://h?S3-cret=1", "unknown parameter", ""},
		{"amqp://h?heartbeat=%zz", "cannot be read", ""},
		{"amqp://h?heartbeat=1;x=2", "cannot be read", ""},
		{"amqp://h?heartbeat=70000", "heartbeat", ""},
		{"amqp://h?heartbeat=1&heartbeat=2", "heartbeat twice", ""},
		{"amqp://h?connection_timeout=-5", "connection_timeout", ""},
		{"amqp://h?connection_timeout=0", "connection_timeout", ""},
		{"amqp://h?channel_max=3", "channel_max", ""},
		{"amqp://h?auth_mechanism=foo", "auth_mechanism", ""},
		{"amqp://h?cacertfile=x", "not amqps://", ""},
		{"amqps://h?certfile=x", "only one is given", "amqps://h?certfile=x"},
		{"amqps://h?cacertfile=" + dir + "/none.pem", "none.pem", "amqps://h?cacertfile=" + dir + "/none.pem"},
		{"amqps://h?cacertfile=" + empty, "holds no PEM certificate", "amqps://h?cacertfile=" + empty},
		{"amqps://h?certfile=" + empty + "&keyfile=" + empty, "failed to find any PEM data", "amqps://h?certfile=" + empty + "&keyfile=" + empty},
	}
	for _, tt := range tests {
		err := CheckURL(tt.url)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("CheckURL(%q): %v", tt.url, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("CheckURL(%q): %v, want %q", tt.url, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "s3") && !strings.Contains(tt.url, "?s3"):
			t.Errorf("CheckURL(%q) tells of the password: %v", tt.url, err)
		}
		show := tt.show
		if show == "" {
			show = "(unreadable AMQP address)"
		}
		if got := Redact(tt.url); got != show {
			t.Errorf("Redact(%q) = %q, want %q", tt.url, got, show)
		}
	}
}

// FuzzRedact: whatever stands between the scheme and the host, neither the error nor the log shows it.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"x", "a/b", "12#x", "1?x", "%zz", "p@ss", "a:b", "[", "]", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, password string) {
		// In a frame, so that a part of it is known when it shows.
		const mark = "q9Zw7"
		raw := "amqp://user:" + mark + password + mark + "@host/vhost"
		if s := Redact(raw); strings.Contains(s, mark) {
			t.Errorf("Redact(%q) = %q", raw, s)
		}
		if err := CheckURL(raw); err != nil && strings.Contains(err.Error(), mark) {
			t.Errorf("CheckURL(%q): %v", raw, err)
		}
	})
}

func TestAddress(t *testing.T) {
	a, err := ParseURL("amqps://u:p%2Fw@h/a%2Fb?heartbeat=7&connection_timeout=1500&channel_max=100&auth_mechanism=plain&auth_mechanism=external&server_name_indication=n")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(a.HostPort(), " ", a.User, a.Password, a.VHost, a.heartbeat, a.timeout, a.channelMax, a.mechanisms, a.tls, len(a.sasl()))
	if want := "h:5671 up/wa/b7s 1.5s 100 [PLAIN EXTERNAL] true 2"; got != want {
		t.Errorf("address is %s, want %s", got, want)
	}
	c, err := a.tlsConfig()
	if err != nil || c.ServerName != "n" || c.InsecureSkipVerify {
		t.Errorf("TLS config %+v, %v", c, err)
	}
	a, err = ParseURL("amqp://[::1]")
	if err != nil || a.HostPort() != "[::1]:5672" || a.User != "guest" || a.Password != "guest" || a.VHost != "/" || a.heartbeat != 10*time.Second {
		t.Errorf("address is %+v, %v", a, err)
	}
}
