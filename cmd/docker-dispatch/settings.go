package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// settings has the values of the command line and the environment, and what load reads: the policy, registry logins, the
// host's name.
type settings struct {
	options *ui.Options // which set the fields below
	// These ask for something else than a daemon.
	version, apiCalls, printConfig bool

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

	passwordFile string // of the broker's password

	tlsVerify              bool
	tlsCA, tlsCert, tlsKey string
	apiVersion             string
	host                   string // this host's name in results: hostName, else the machine's

	hostName    string     // among the hosts of the queue; "": there are no others
	hostLabels  hostLabels // what messages may ask of a host
	removeStale bool
}

// parseSettings reads the command line and the environment, but not the files of load. Its errors have hints.
func parseSettings(args []string, getenv func(string) string) (s *settings, err error) {
	s = newSettings()
	defer func() { err = s.options.Blame(err) }()
	addresses, err := s.options.Parse(args, getenv)
	if err != nil {
		return s, err
	}
	s.apiVersion = s.variable("API version", "DOCKER_API_VERSION", getenv)
	switch {
	case s.version:
		return s, errVersion
	case s.apiCalls:
		return s, errAPICalls
	}
	if err := s.addresses(addresses, getenv); err != nil {
		return s, err
	}
	s.deadLetter, s.control = subcommand.FurtherQueue(s.deadLetter, s.queue+".dead"), subcommand.FurtherQueue(s.control, s.queue+".control")
	if err := s.validate(); err != nil {
		return s, err
	}
	s.tlsFiles(getenv)
	return s, nil
}

// load reads the files that the settings name.
func (s *settings) load(getenv func(string) string) (err error) {
	defer func() { err = s.options.Blame(err) }()
	if err := s.loadPolicy(); err != nil {
		return err
	}
	if err := s.checkSecrets(); err != nil {
		return err
	}
	s.variable("registry logins", "DOCKER_CONFIG", getenv)
	if s.credentials, err = dockerapi.LoadCredentials(getenv); err != nil {
		return ui.UsageError(err.Error(), "docker login writes that file; DOCKER_CONFIG names the folder it is in")
	}
	if s.host = s.hostName; s.host != "" {
		return nil
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
	p, err := client.LoadPolicy("--policy", s.policyFile)
	if err == nil {
		s.policy.Store(p)
	}
	return err
}

// addresses sets the two addresses to those given, or to their defaults.
func (s *settings) addresses(given []string, getenv func(string) string) error {
	if len(given) > 2 {
		return ui.UsageError(fmt.Sprintf("%d addresses given; at most two are taken: dockerHostAddr amqpAddr", len(given)),
			"options may stand anywhere, but each value belongs right behind its option")
	}
	docker, amqp := s.argument(given, 0, dockerArgument, "DOCKER_HOST", getenv), s.argument(given, 1, amqpArgument, "AMQP_URL", getenv)
	if len(given) > 0 && given[0] != "" && given[0] != "localhost" && !strings.ContainsAny(given[0], "./:@") {
		if given[0] == "-" { // which is a broker address only
			return ui.UsageError("- is the first address, and stands for no engine", `messages from stdin are the second one: docker-dispatch "$DOCKER_HOST" -`)
		}
		names := commandNames()
		last := len(names) - 1
		hint := "the commands are " + strings.Join(names[:last], ", ") + " and " + names[last] + "; the address of a host with such a name is tcp://" + given[0]
		if slices.Contains(names, given[0]) {
			return ui.UsageError(fmt.Sprintf("the command %s stands behind an option or an address", given[0]), "a command comes first: docker-dispatch "+given[0]+" ...")
		}
		if near := flagval.Nearest(given[0], names); near != "" {
			hint = fmt.Sprintf("did you mean docker-dispatch %s? %s", near, hint)
		}
		return ui.UsageError(fmt.Sprintf("%q is no command, and no address", given[0]), hint)
	}
	amqp = cmp.Or(amqp, subcommand.LocalBroker)
	if strings.HasPrefix(docker, "amqp://") || strings.HasPrefix(docker, "amqps://") {
		return ui.UsageError("the first address is the broker's; the Docker Engine's comes first",
			"docker-dispatch [options] dockerHostAddr amqpAddr, for example /var/run/docker.sock "+wire.Redact(docker))
	}
	var err error
	if s.dockerHost, err = dockerapi.ParseHost(docker); err != nil {
		if s.options.From(dockerArgument) == "DOCKER_HOST" {
			err = fmt.Errorf("DOCKER_HOST: %w", err)
		}
		return ui.UsageError(err.Error(), "a Docker address is ip:port, the path of a socket, or tcp://, unix://, http:// or https://")
	}
	if s.amqpURL = amqp; amqp == "-" {
		return nil
	}
	if dir := getenv("CREDENTIALS_DIRECTORY"); dir != "" && s.passwordFile != "" && !strings.Contains(s.passwordFile, "/") {
		s.passwordFile = filepath.Join(dir, s.passwordFile)
	}
	s.amqpURL, err = subcommand.BrokerAddress(amqp, s.options.From(amqpArgument), s.passwordFile,
		"a broker address is amqp://user:password@host:5672/vhost; %XX stands for special characters in a password; - reads messages from stdin")
	return err
}

// The addresses, as the help calls them.
const dockerArgument, amqpArgument = "dockerHostAddr", "amqpAddr"

// argument returns an address from the arguments, else from its variable.
func (s *settings) argument(given []string, i int, name, variable string, getenv func(string) string) string {
	if len(given) > i {
		s.options.SetFrom(name, "command line")
		return given[i]
	}
	return s.variable(name, variable, getenv)
}

// variable returns a setting from its variable.
func (s *settings) variable(name, variable string, getenv func(string) string) string {
	value := getenv(variable)
	if value != "" {
		s.options.SetFrom(name, variable)
	}
	return value
}
