package message

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// here is the caller of the tests.
func here() Caller {
	files := map[string]string{
		"vars":    "\ufeff# comment\n\n  A=1 \nHOME\nUNSET\nEMPTY=\r\nB=x=y",
		"labels":  "a=b\nalone\n",
		"spaced":  "a b=1\n",
		"unnamed": "=1\n",
		"profile": "{ \"defaultAction\": \"SCMP_ACT_ALLOW\" }\n",
	}
	env := map[string]string{"HOME": "/root", "NOTHING": ""}
	return Caller{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
	}
}

// words splits a command line at its spaces, but for those in quotation marks.
func words(s string) (words []string) {
	for i, part := range strings.Split(s, "'") {
		if i%2 == 0 {
			words = append(words, strings.Fields(part)...)
		} else {
			words = append(words, part)
		}
	}
	return words
}

func TestRunLine(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"a", `"Image":"a","Options":{"Attach":["STDOUT","STDERR"]}`},
		{"a echo -n --rm", `"Image":"a","Cmd":["echo","-n","--rm"],"Options":{"Attach":["STDOUT","STDERR"]}`},
		{"--rm -- a -- b", `"Image":"a","Cmd":["--","b"],"Options":{"Attach":["STDOUT","STDERR"],"Remove":true}`},
		{"--rm=false --rm=1 a", `"Image":"a","Options":{"Attach":["STDOUT","STDERR"],"Remove":true}`},
		{"-d a", `"Image":"a","Options":{"Detach":true}`},
		{"-dit --name web a", `"Image":"a","Options":{"Detach":true,"Interactive":true,"Name":"web","Tty":true}`},
		{"-d --help=false --name /web a", `"Image":"a","Options":{"Detach":true,"Name":"web"}`},
		{"-di=false a", `"Image":"a","Options":{"Detach":true,"Interactive":false}`},
		{"-i a cat", `"Image":"a","Cmd":["cat"],"Options":{"Attach":["STDIN","STDOUT","STDERR"],"Interactive":true}`},
		{"-i -a STDOUT a", `"Image":"a","Options":{"Attach":["STDIN","STDOUT"],"Interactive":true}`},
		{"-a stderr a", `"Image":"a","Options":{"Attach":["STDERR"]}`},
		{"-d -eA=b -e=C=d -e E=f --env G=h --env=I=j a", `"Image":"a","Options":{"Detach":true,"Env":["A=b","C=d","E=f","G=h","I=j"]}`},
		{"-d -e HOME -e NOTHING -e UNSET a", `"Image":"a","Options":{"Detach":true,"Env":["HOME=/root","NOTHING=","UNSET"]}`},
		{"-d -e Z=1 --env-file vars a", `"Image":"a","Options":{"Detach":true,"Env":["A=1 ","HOME=/root","EMPTY=","B=x=y","Z=1"]}`},
		{"-d -l x --label-file labels a", `"Image":"a","Options":{"Detach":true,"Label":["a=b","x"]}`},
		{"-d --label-file labels a", `"Image":"a","Options":{"Detach":true,"Label":["a=b"]}`},
		{"-dm512m -c 2 --cpus 1.5 --cpus=2 a", `"Image":"a","Options":{"CpuShares":"2","Cpus":"2","Detach":true,"Memory":"512m"}`},
		{"-d -v vv:/a -v /b --mount type=tmpfs,dst=/c -p 80:80 -P -w /x -u 1:2 -h web a",
			`"Image":"a","Options":{"Detach":true,"Hostname":"web","Mount":["type=tmpfs,dst=/c"],"Publish":["80:80"],"PublishAll":true,"User":"1:2","Volume":["vv:/a","/b"],"Workdir":"/x"}`},
		{"-d --net x --network y --net-alias z --dns-opt ndots:1 --dns-option use-vc --ip6 fd00::1 a",
			`"Image":"a","Options":{"Detach":true,"DnsOption":["ndots:1","use-vc"],"Ip6":"fd00::1","Network":["x","y"],"NetworkAlias":["z"]}`},
		{"-d --entrypoint '' --workdir '' --name xx --name '' a", `"Image":"a","Options":{"Detach":true,"Entrypoint":[""]}`},
		{"-d --entrypoint sh --entrypoint echo a", `"Image":"a","Options":{"Detach":true,"Entrypoint":["echo"]}`},
		{"-d --memory-swap -1 --pids-limit -1 a", `"Image":"a","Options":{"Detach":true,"MemorySwap":"-1","PidsLimit":"-1"}`},
		{"-d --security-opt seccomp=profile --security-opt no-new-privileges a",
			`"Image":"a","Options":{"Detach":true,"SecurityOpt":["seccomp={ \"defaultAction\": \"SCMP_ACT_ALLOW\" }\n","no-new-privileges"]}`},
		{"--rm --run-timeout 90s --retry {\"Max\":3} a", `"Image":"a","Options":{"Attach":["STDOUT","STDERR"],"Remove":true,"Retry":{"Max":3},"Timeout":"90s"}`},
		{"-d --pull always --platform linux/arm64 --init --stop-signal INT --stop-timeout 5 a",
			`"Image":"a","Options":{"Detach":true,"Init":true,"Platform":"linux/arm64","Pull":"always","StopSignal":"INT","StopTimeout":"5"}`},
		{"-d --sysctl net.a=1 --ulimit nofile=1:2 --tmpfs /t --add-host a:1.2.3.4 --restart no a",
			`"Image":"a","Options":{"AddHost":["a:1.2.3.4"],"Detach":true,"Restart":"no","Sysctl":["net.a=1"],"Tmpfs":["/t"],"Ulimit":["nofile=1:2"]}`},
		{"-d --cidfile x --quiet --sig-proxy=false --detach-keys ctrl-a --disable-content-trust --isolation default a", `"Image":"a","Options":{"Detach":true}`},
		{"-d reg.example:5000/Some/../x", "invalid reference format: repository name (Some/../x) must be lowercase"},
		{"-d reg.example:5000/some/x:T1@sha256:" + strings.Repeat("0", 64), `"Image":"reg.example:5000/some/x:T1@sha256:` + strings.Repeat("0", 64) + `","Options":{"Detach":true}`},
		{"'Not An Image'", "invalid reference format: repository name (library/Not An Image) must be lowercase"},
		{"''", "invalid reference format"},
		{"a:", "invalid reference format"},

		// As docker 28.2.2 has it.
		{"--foo a", "unknown flag: --foo"},
		{"--foo=x a", "unknown flag: --foo"},
		{"-itX a", "unknown shorthand flag: 'X' in -X"},
		{"--= a", "bad flag syntax: --="},
		{"---x a", "bad flag syntax: ---x"},
		{"--memory", "flag needs an argument: --memory"},
		{"-tm", "flag needs an argument: 'm' in -m"},
		{"--rm=maybe a", `invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax`},
		{"--env-file nosuch a", "open nosuch: file does not exist"},
		{"--env-file spaced a", "invalid env file (spaced): variable 'a b' contains whitespaces"},
		{"--env-file unnamed a", "invalid env file (unnamed): no variable name on line '=1'"},
		{"--security-opt seccomp=nosuch a", "opening seccomp profile (nosuch) failed: open nosuch: file does not exist"},
		{"--rm", ErrNoImage.Error()},
		{"--help", ErrHelp.Error()},
		{"--help=true", ErrHelp.Error()},

		// In our own words.
		{"-m abc a", `invalid argument "abc" for "-m, --memory" flag: expected a size such as "512m" or "1.5g", with b, k, m, g, t or p, got "abc"`},
		{"-a out a", `invalid argument "out" for "-a, --attach" flag: unknown stream "out"; expected "STDIN", "STDOUT" or "STDERR"`},
		{"-v ./x:/y a", `invalid argument "./x:/y" for "-v, --volume" flag: expected an absolute path of the host or a volume's name; a message has no folder that a relative path could start from; got "./x:/y"`},
		{"--retry 3 a", `invalid argument "3" for "--retry" flag: expected an object, got a number`},
		{"--retry { a", `invalid argument "{" for "--retry" flag: expected object in JSON, got "{"`},
		{"--cpu-count 2 a", `invalid argument "2" for "--cpu-count" flag: only engines on Windows have it, which no message can ask for`},
		{"--rm --restart always a", "Options: only one of Restart and Remove can be given; a container that is started again is not removed at its end"},
		{"--rm a \xff", `the argument "\xff" is not UTF-8, which a message cannot hold`},
	} {
		got := func() string {
			l, err := ParseRunLine(words(tt.args), nil, here())
			if err != nil {
				return err.Error()
			}
			body, err := l.Message(nil, false)
			if err != nil {
				return err.Error()
			}
			return strings.TrimSuffix(strings.TrimPrefix(string(body), `{"Dockercmd":"run",`), "}\n")
		}()
		if got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.args, got, tt.want)
		}
	}
}

// TestRunLineOwnFlags: the caller's flags stand anywhere before the image, and have their short names.
func TestRunLineOwnFlags(t *testing.T) {
	queue := ""
	own := []Flag{{Name: "queue", Short: "q", Set: func(v string) error { queue = v; return nil }}}
	l, err := ParseRunLine(words("--rm -iq jobs --quiet -t a -q x"), own, here())
	if err != nil || queue != "jobs" || !l.Quiet || !l.Tty || !l.Interactive || strings.Join(l.Cmd, " ") != "-q x" {
		t.Errorf("%v, queue %q, %+v", err, queue, l)
	}
	_, err = ParseRunLine(words("--rm -q"), own, here())
	if _, ok := errors.AsType[*FlagError](err); !ok {
		t.Errorf("%v is not a FlagError", err)
	}
}

// TestRunLineInput: standard input travels as text or in base64, whichever is shorter, and comes out as it was.
func TestRunLineInput(t *testing.T) {
	for _, tt := range []struct{ stdin, key string }{
		{"", ""}, {"héllo\n", "Stdin"}, {"<&>", "Stdin"}, {"\xff\x00", "StdinBase64"}, {strings.Repeat("\x01", 100), "StdinBase64"},
	} {
		l, err := ParseRunLine(words("-i a"), nil, here())
		if err != nil {
			t.Fatal(err)
		}
		body, err := l.Message([]byte(tt.stdin), false)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Decode(body, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		if r := c.(*Run); string(r.Input) != tt.stdin || !r.Stdin || tt.key != "" && !strings.Contains(string(body), `"`+tt.key+`":`) {
			t.Errorf("%q: %s", tt.stdin, body)
		}
	}
}

// TestEveryKeyHasAFlag: a run's keys can all be given on a command line, each by one flag of its own.
// That docker's flags are those is TestParityFlags'.
func TestEveryKeyHasAFlag(t *testing.T) {
	l := &RunLine{}
	taken := make(map[string]bool)
	for _, f := range append(l.clientFlags(), l.keyFlags()...) {
		for _, name := range []string{f.Name, f.Short} {
			if name != "" && taken[name] {
				t.Errorf("two flags %s", name)
			}
			taken[name] = true
		}
	}
	for _, k := range runOptions {
		if n := len(k.flagNames()); n == 0 && !strings.HasPrefix(k.name, "Stdin") {
			t.Errorf("no flag for %s", k.name)
		}
	}
}
