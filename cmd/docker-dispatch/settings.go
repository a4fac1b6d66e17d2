package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// settings has the values of the command line and the environment.
type settings struct {
	dockerHost dockerapi.Host
	amqpURL    string // "-": messages come from stdin

	queue       string
	declare     string // "", "classic" or "quorum"
	concurrency int
	ahead       int
	verbose     bool
	logFormat   string
	format      string
	raw         bool // text output as containers write it
	capture     int
	deadLetter  string // empty: reject
	results     string // empty: none
	control     string // empty: none
	drain       time.Duration
	sweepAfter  time.Duration // 0: never
	pull        string
	timeout     time.Duration
	maxMessage  int
	listenAddr  string // "": requests are not answered
	minFree     int64  // bytes; 0: the disk is not watched
	secrets     string // the folder of secrets; "": none
	policyFile  string // "": the built-in policy
	policy      atomic.Pointer[policy.Policy]
	policyFault atomic.Pointer[string] // why the policy's file was not read again; nil: it was
	credentials *dockerapi.Credentials

	tlsVerify              bool
	tlsCA, tlsCert, tlsKey string
	apiVersion             string
	host                   string // this machine's name
}

// The command line asks for one of these, and for nothing else.
var (
	errVersion  = errors.New("version")
	errAPICalls = errors.New("API calls")
)

// parseSettings reads the command line and the environment, but not the files of load. Its errors have hints.
func parseSettings(args []string, getenv func(string) string) (*settings, error) {
	s := &settings{
		concurrency: 16, ahead: 4, logFormat: "text", format: "text", capture: 64 << 10,
		drain: 10 * time.Second, sweepAfter: 24 * time.Hour, pull: "missing", maxMessage: 1 << 20,
		tlsVerify: getenv("DOCKER_TLS_VERIFY") != "", apiVersion: getenv("DOCKER_API_VERSION"),
	}
	var version, apiCalls bool
	deadLetter, control, passwordFile := "", "", ""
	fs := flag.NewFlagSet("docker-dispatch", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&s.queue, "q", "", "")
	fs.StringVar(&s.queue, "queue", "", "")
	fs.StringVar(&s.declare, "declare", "", "")
	fs.IntVar(&s.concurrency, "c", s.concurrency, "")
	fs.IntVar(&s.concurrency, "concurrency", s.concurrency, "")
	fs.IntVar(&s.ahead, "ahead", s.ahead, "")
	fs.BoolVar(&s.verbose, "v", false, "")
	fs.BoolVar(&s.verbose, "verbose", false, "")
	fs.StringVar(&s.logFormat, "log-format", s.logFormat, "")
	fs.StringVar(&s.format, "format", s.format, "")
	fs.BoolVar(&s.raw, "raw", false, "")
	fs.Var((*ui.Size)(&s.capture), "capture", "")
	fs.StringVar(&deadLetter, "dead-letter", "", "")
	fs.StringVar(&s.results, "results", "", "")
	fs.StringVar(&control, "control", "", "")
	fs.DurationVar(&s.drain, "drain", s.drain, "")
	fs.DurationVar(&s.sweepAfter, "sweep-after", s.sweepAfter, "")
	fs.StringVar(&s.pull, "pull", s.pull, "")
	fs.DurationVar(&s.timeout, "timeout", 0, "")
	fs.Var((*ui.Size)(&s.maxMessage), "max-message", "")
	fs.StringVar(&s.policyFile, "policy", "", "")
	fs.StringVar(&s.secrets, "secrets", getenv("CREDENTIALS_DIRECTORY"), "")
	fs.StringVar(&s.listenAddr, "listen", "", "")
	fs.Var((*ui.LargeSize)(&s.minFree), "min-free", "")
	fs.StringVar(&passwordFile, "amqp-password-file", "", "")
	fs.BoolVar(&s.tlsVerify, "tlsverify", s.tlsVerify, "")
	fs.StringVar(&s.tlsCA, "tlscacert", "", "")
	fs.StringVar(&s.tlsCert, "tlscert", "", "")
	fs.StringVar(&s.tlsKey, "tlskey", "", "")
	fs.BoolVar(&apiCalls, "api-calls", false, "")
	fs.BoolVar(&version, "version", false, "")

	var addresses []string
	for rest := args; ; { // options may stand before, between and after the addresses
		if err := fs.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, ui.ErrHelp
			}
			return nil, ui.UsageError(ui.FlagError(fs, err), "docker-dispatch -h lists the options")
		}
		if fs.NArg() == 0 {
			break
		}
		addresses = append(addresses, fs.Arg(0))
		rest = fs.Args()[1:]
	}
	switch {
	case version:
		return nil, errVersion
	case apiCalls:
		return nil, errAPICalls
	}
	if err := s.addresses(addresses, passwordFile, getenv); err != nil {
		return nil, err
	}
	s.deadLetter, s.control = client.FurtherQueue(deadLetter, s.queue+".dead"), client.FurtherQueue(control, s.queue+".control")
	if err := s.validate(); err != nil {
		return nil, err
	}
	if err := s.tlsFiles(getenv); err != nil {
		return nil, err
	}
	return s, nil
}

// load reads the files that the settings name.
func (s *settings) load(getenv func(string) string) (err error) {
	if err := s.loadPolicy(); err != nil {
		return err
	}
	if err := s.checkSecrets(); err != nil {
		return err
	}
	if s.credentials, err = dockerapi.LoadCredentials(getenv); err != nil {
		return ui.UsageError(err.Error(), "docker login writes that file; DOCKER_CONFIG names the folder it is in")
	}
	if s.host, err = os.Hostname(); err != nil {
		s.host = "unknown"
	}
	return nil
}

// checkSecrets refuses a folder of secrets that cannot be read.
func (s *settings) checkSecrets() error {
	if s.secrets == "" {
		return nil
	}
	at, err := filepath.Abs(s.secrets)
	if err == nil {
		_, err = os.ReadDir(at)
	}
	if err != nil {
		return ui.UsageError("--secrets: "+err.Error(), "name a folder with a file for each secret")
	}
	s.secrets = at
	return nil
}

// loadPolicy reads the policy's file. After a fault the policy is the one of before.
func (s *settings) loadPolicy() error {
	p, err := client.LoadPolicy(s.policyFile)
	if err == nil {
		s.policy.Store(p)
	}
	return err
}

// addresses sets the two addresses to those given, or to their defaults.
func (s *settings) addresses(given []string, passwordFile string, getenv func(string) string) error {
	if len(given) > 2 {
		return ui.UsageError(fmt.Sprintf("%d addresses given; at most two are taken: dockerHostAddr amqpAddr", len(given)),
			"options may stand anywhere, but each value belongs right behind its option")
	}
	docker, amqp := getenv("DOCKER_HOST"), getenv("AMQP_URL")
	if len(given) > 0 && given[0] != "" && given[0] != "localhost" && !strings.ContainsAny(given[0], "./:@") {
		names := append(client.Names(), "help")
		hint := "the commands are run, send, check, dead, ps and help; the address of a host with such a name is tcp://" + given[0]
		if slices.Contains(names, given[0]) {
			return ui.UsageError(fmt.Sprintf("the command %s stands behind an option or an address", given[0]), "a command comes first: docker-dispatch "+given[0]+" ...")
		}
		if near := flagval.Nearest(given[0], names); near != "" {
			hint = fmt.Sprintf("did you mean docker-dispatch %s? %s", near, hint)
		}
		return ui.UsageError(fmt.Sprintf("%q is no command, and no address", given[0]), hint)
	}
	if len(given) > 0 {
		docker = given[0]
	}
	if len(given) > 1 {
		amqp = given[1]
	}
	amqp = cmp.Or(amqp, client.LocalBroker)
	if strings.HasPrefix(docker, "amqp://") || strings.HasPrefix(docker, "amqps://") {
		return ui.UsageError("the first address is the broker's; the Docker Engine's comes first",
			"docker-dispatch [options] dockerHostAddr amqpAddr, for example /var/run/docker.sock "+wire.Redact(docker))
	}
	var err error
	if s.dockerHost, err = dockerapi.ParseHost(docker); err != nil {
		return ui.UsageError(err.Error(), "a Docker address is ip:port, the path of a socket, or tcp://, unix://, http:// or https://")
	}
	if s.amqpURL = amqp; amqp == "-" {
		return nil
	}
	s.amqpURL, err = client.BrokerAddress(amqp, passwordFile,
		"a broker address is amqp://user:password@host:5672/vhost; %XX stands for special characters in a password; - reads messages from stdin")
	return err
}

func (s *settings) validate() error {
	if s.amqpURL != "-" && s.queue == "" {
		return ui.UsageError("no queue given", "name the queue to take messages from: docker-dispatch -q NAME ...; or give - as the broker address to read messages from stdin")
	}
	if s.amqpURL == "-" {
		s.queue = "stdin"
		s.control = ""
		s.sweepAfter = 0 // containers of other processes that read a stdin look the same
	}
	const most = 255 - len(".retry.86400") // the longest name made from the queue's
	if len(s.queue) > most {
		return ui.UsageError(fmt.Sprintf("--queue has %d bytes; at most %d are taken, so that there is room for the names of its further queues", len(s.queue), most), "docker-dispatch -h lists the options")
	}
	switch {
	case s.concurrency < 1:
		return ui.UsageError(fmt.Sprintf("--concurrency %d: at least one container must be allowed to run", s.concurrency), "leave it out for 16")
	case s.ahead < 0:
		return ui.UsageError(fmt.Sprintf("--ahead %d: it cannot be negative", s.ahead), "0 takes no message before it can run")
	case s.concurrency > math.MaxUint16 || s.concurrency+s.ahead > math.MaxUint16:
		return ui.UsageError(fmt.Sprintf("--concurrency %d and --ahead %d together are over %d, the most that a broker delivers at a time", s.concurrency, s.ahead, math.MaxUint16), "give smaller ones")
	case s.drain < 0:
		return ui.UsageError(fmt.Sprintf("--drain %v: it cannot be negative", s.drain), "0s leaves running containers at once")
	case s.sweepAfter < 0:
		return ui.UsageError(fmt.Sprintf("--sweep-after %v: it cannot be negative", s.sweepAfter), "0s sweeps nothing")
	case s.timeout < 0:
		return ui.UsageError(fmt.Sprintf("--timeout %v: it cannot be negative", s.timeout), "leave it out for no limit")
	case s.maxMessage < 1:
		return ui.UsageError("--max-message must be at least 1 byte", "leave it out for 1m")
	}
	for _, o := range []struct{ option, value string }{{"--queue", s.queue}, {"--dead-letter", s.deadLetter}, {"--control", s.control}, {"--results", s.results}} {
		if strings.HasPrefix(o.value, "amq.rabbitmq.reply-to") {
			return ui.UsageError(fmt.Sprintf("%s %s: this is RabbitMQ's direct reply-to, not a queue; messages sent to it would be lost", o.option, o.value), "name a queue")
		}
	}
	if s.minFree > 0 && s.amqpURL == "-" {
		return ui.UsageError("--min-free: messages from stdin cannot wait in a queue", "leave it out")
	}
	if s.minFree > 0 && !s.dockerHost.Local() {
		return ui.UsageError(fmt.Sprintf("--min-free %d: the engine at %s is on another host, whose disk cannot be looked at", s.minFree, s.dockerHost), "leave it out, or run the daemon on the engine's host")
	}
	if s.deadLetter != "" && s.deadLetter == s.queue && s.amqpURL != "-" {
		return ui.UsageError(fmt.Sprintf("--dead-letter %s is the queue itself; what cannot be carried out would go round for ever", s.queue), "name another queue, or none")
	}
	if s.control != "" && (s.control == s.queue || s.control == s.deadLetter) {
		return ui.UsageError(fmt.Sprintf("--control %s is a queue that has another use here", s.control), "name another queue, or none")
	}
	if s.results != "" && (s.results == s.queue || s.results == s.deadLetter || s.results == s.control) {
		return ui.UsageError(fmt.Sprintf("--results %s is a queue that has another use here; the results would be taken for messages", s.results), "name another queue")
	}
	for _, o := range []struct{ option, value string }{{"--dead-letter", s.deadLetter}, {"--control", s.control}, {"--results", s.results}} {
		if strings.HasPrefix(o.value, s.queue+".retry.") {
			return ui.UsageError(fmt.Sprintf("%s %s is a queue in which messages of %s may wait for their next attempt", o.option, o.value, s.queue), "name another queue")
		}
	}
	for _, o := range []struct {
		option, value string
		allowed       []string
	}{
		{"--declare", s.declare, []string{"", "quorum", "classic"}},
		{"--format", s.format, []string{"text", "json"}},
		{"--log-format", s.logFormat, []string{"text", "json"}},
		{"--pull", s.pull, []string{"missing", "always", "never"}},
	} {
		if !slices.Contains(o.allowed, o.value) {
			return ui.UsageError(fmt.Sprintf("%s %q: not one of %s", o.option, o.value, strings.TrimPrefix(strings.Join(o.allowed, ", "), ", ")),
				"docker-dispatch -h explains the options")
		}
	}
	return nil
}

// tlsFiles fills in the files that the options do not name, as the docker CLI does. It takes them
// from DOCKER_CERT_PATH, else from the folder of docker's configuration. It leaves out files that
// do not exist.
func (s *settings) tlsFiles(getenv func(string) string) error {
	if s.dockerHost.IsUnix() {
		return nil // as the docker CLI: no TLS over a socket
	}
	if !s.tlsVerify && !s.dockerHost.TLS() && s.tlsCA == "" && s.tlsCert == "" && s.tlsKey == "" {
		return nil
	}
	folder := getenv("DOCKER_CERT_PATH")
	if folder == "" {
		folder = getenv("DOCKER_CONFIG")
	}
	if folder == "" {
		folder = filepath.Join(getenv("HOME"), ".docker")
	}
	s.tlsVerify = true
	for _, f := range []struct {
		file *string
		name string
	}{{&s.tlsCA, "ca.pem"}, {&s.tlsCert, "cert.pem"}, {&s.tlsKey, "key.pem"}} {
		if *f.file != "" {
			continue
		}
		path := filepath.Join(folder, f.name)
		if _, err := os.Stat(path); err == nil {
			*f.file = path
		}
	}
	return nil
}

// client returns a client of the engine. observe may be nil.
func (s *settings) client(observe func(route string, status int, took time.Duration)) (*dockerapi.Client, error) {
	o := dockerapi.Options{APIVersion: s.apiVersion, Observe: observe}
	host := s.dockerHost
	if s.tlsVerify && !host.IsUnix() {
		conf, err := tlsconf.Config(s.tlsCA, s.tlsCert, s.tlsKey)
		if err != nil {
			return nil, ui.UsageError(err.Error(), "--tlscacert, --tlscert and --tlskey name PEM files; DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem")
		}
		o.TLS, host = conf, host.WithTLS()
	}
	c, err := dockerapi.New(host, o)
	if err != nil {
		return nil, ui.UsageError(err.Error(), "docker-dispatch -h explains the addresses")
	}
	return c, nil
}
