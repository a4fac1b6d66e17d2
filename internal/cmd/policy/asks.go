package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// An ask is one thing that a message asks for.
type ask struct {
	key, value string // as in a policy's file
	where      string // the message's key that asks for it; "": the option of the same key
	why        string // why the built-in policy denies it, a clause whose subject is "it"; "": it is allowed
}

// named says what is asked for, as the message names it.
func (a ask) named() error {
	where := cmp.Or(a.where, "Options."+a.key)
	if a.value == "" || a.value == "true" {
		return errors.New(where)
	}
	return fmt.Errorf("%s: %s", where, flagval.Quote(a.value))
}

// An asking collects what a command asks for.
type asking []ask

func (l *asking) add(key, value, where, why string) {
	*l = append(*l, ask{key, value, where, why})
}

// option asks for a value of the option of the key's name.
func (l *asking) option(key, value, why string) {
	l.add(key, value, "", why)
}

// given is option for a value that is not empty.
func (l *asking) given(key, value, why string) {
	if value != "" {
		l.option(key, value, why)
	}
}

// options is option for each of the values.
func (l *asking) options(key string, values []string, why string) {
	for _, v := range values {
		l.option(key, v, why)
	}
}

// flag asks for an option that is on.
func (l *asking) flag(key string, on bool, why string) {
	if on {
		l.option(key, "true", why)
	}
}

// when returns why if denied, else "".
func when(denied bool, why string) string {
	if denied {
		return why
	}
	return ""
}

// asks returns all that a command asks for.
func asks(c message.Command, from Sender) []ask {
	verb := c.Traits().Verb
	l := append(make(asking, 0, 8), ask{"Command", verb, "Dockercmd", ""}) // a plain run asks for no more than 8
	if from.ReplyTo != "" {
		l = append(l, replyAsk(from.ReplyTo))
	}
	switch c := c.(type) {
	case *message.Run:
		l.run(c)
	case *message.Create:
		l.run(&c.Run)
	case *message.Pull:
		l.image(c.Image)
		l.placement(c.Placement)
	case *message.Exec:
		l.flag("Privileged", c.Privileged, "gives all rights on the host")
		l.env(c.Env)
		l.given("User", c.User, "")
	}
	return l
}

func replyAsk(queue string) ask {
	return ask{"ReplyTo", queue, "reply_to", when(daemonQueue(queue), "has the name of a queue of a daemon's")}
}

// daemonQueue reports whether a queue's name is one that daemons give to their queues.
func daemonQueue(name string) bool {
	if strings.HasSuffix(name, ".dead") || strings.HasSuffix(name, ".control") {
		return true
	}
	_, seconds, ok := strings.Cut(name, ".retry.")
	return ok && strings.Trim(seconds, "0123456789") == ""
}

func (l *asking) image(ref string) {
	l.add("Image", canonicalImage(ref), "Image", "")
}

func (l *asking) env(env []string) {
	for _, e := range env {
		name, value, ok := strings.Cut(e, "=")
		if secret, ok := strings.CutPrefix(value, flagval.SecretPrefix); ok {
			l.add("Secret", secret, "Options.Env", secretDenied)
		}
		if !ok { // it may be a secret that was meant to be a value: no error shows it
			l.add("Env", "", "Options.Env: an item without =", "has no value, and Podman takes one from its own environment")
			continue
		}
		l.option("Env", name, "")
	}
}

// secretDenied is why the built-in policy denies each secret.
const secretDenied = "is a secret of the daemon's"

func (l *asking) run(r *message.Run) {
	l.image(r.Image)
	l.options("Secret", r.Secrets, secretDenied)
	l.env(r.Spec.Env)
	l.option("User", r.Spec.User, "")
	l.placement(r.Placement)
	for _, k := range sortedKeys(r.Spec.Labels) {
		l.label("Options.Label", k)
	}
	if t := r.Spec.StopTimeout; t != nil {
		l.option("StopTimeout", strconv.Itoa(*t), when(*t < 0 || *t > mostStop, "lets a stop take for ever"))
	}
	if check := r.Spec.Healthcheck; check != nil {
		for _, i := range []struct {
			key      string
			interval time.Duration
		}{{"HealthInterval", check.Interval}, {"HealthStartInterval", check.StartInterval}} {
			if i.interval != 0 {
				l.option(i.key, i.interval.String(), when(i.interval < time.Second, "keeps the engine busy with checks"))
			}
		}
	}
	h := r.Spec.HostConfig
	if h == nil {
		h = new(dockerapi.HostConfig)
	}
	l.rights(h)
	l.resources(h)
	l.files(r, h)
	l.networks(r, h)
	l.logs(h)
}

func (l *asking) placement(p message.Placement) {
	l.given("Host", p.Host, "")
	l.options("Constraint", p.Texts(), "")
}

// mostStop is the longest StopTimeout, in seconds: an engine that is stopped waits for it.
const mostStop = 3600

// label asks for a label of that name.
func (l *asking) label(where, name string) {
	l.add("Label", name, where, when(foreignLabel(name), "belongs to another tool, which acts on it"))
}

// foreignLabel reports whether a label's name is reserved for a tool that acts on it.
func foreignLabel(name string) bool {
	prefixes := []string{"com.docker.", "io.docker.", "org.dockerproject.", "io.podman.", "io.containers.", "io.kubernetes.", "PODMAN_SYSTEMD_UNIT"}
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// rights are those that a container gets on the host, and the namespaces that it shares.
func (l *asking) rights(h *dockerapi.HostConfig) {
	l.option("ReadOnly", strconv.FormatBool(h.ReadonlyRootfs), "")
	l.flag("Privileged", h.Privileged, "gives all rights on the host")
	l.options("CapAdd", h.CapAdd, "gives rights of the host's root")
	for _, o := range h.SecurityOpt {
		l.option("SecurityOpt", o, when(grants(o), "can turn off the container's confinement"))
	}
	if h.MaskedPaths != nil || h.ReadonlyPaths != nil {
		l.option("SecurityOpt", "systempaths=unconfined", "turns off the container's confinement")
	}
	for _, d := range h.Devices {
		l.option("Device", path.Clean(d.PathOnHost), "gives access to a device of the host")
	}
	for _, d := range h.DeviceRequests {
		key := "Gpus"
		if d.Driver == "cdi" {
			key = "Device"
		}
		ids := d.DeviceIDs
		if len(ids) == 0 {
			ids = []string{"all"}
		}
		l.options(key, ids, "gives access to a device of the host")
	}
	l.options("DeviceCgroupRule", h.DeviceCgroupRules, "gives access to devices of the host")
	l.options("Sysctl", pairs(h.Sysctls), "sets a parameter of the kernel")
	l.options("Annotation", pairs(h.Annotations), "is for the runtime, which acts on it")
	for _, g := range h.GroupAdd {
		l.option("GroupAdd", g, when(g == "keep-groups", "makes Podman give the groups of its own process"))
	}
	l.given("Runtime", h.Runtime, "may not confine the container")
	l.given("CgroupParent", h.CgroupParent, "leaves the limits of the engine's own cgroup")
	for _, n := range []struct{ key, mode string }{{"Ipc", h.IpcMode}, {"Pid", h.PidMode}, {"Uts", h.UTSMode}, {"Userns", h.UsernsMode}, {"Cgroupns", h.CgroupnsMode}} {
		l.given(n.key, n.mode, when(foreign(n.mode), "is a namespace of the host or of another container"))
	}
	if p := h.RestartPolicy; p != nil && p.Name != "" && p.Name != "no" {
		value := p.Name
		if p.MaximumRetryCount != 0 {
			value += fmt.Sprintf(":%d", p.MaximumRetryCount)
		}
		l.option("Restart", value, when(p.Name != "on-failure" || p.MaximumRetryCount < 1 || p.MaximumRetryCount > mostRestarts,
			fmt.Sprintf("starts the container again without end (write on-failure:N, N up to %d)", mostRestarts)))
	}
}

// mostRestarts is how often the engine may start a container again that has failed.
const mostRestarts = 100

// grants reports whether a security option may give rights. no-new-privileges only takes them.
func grants(option string) bool {
	return !slices.Contains([]string{"no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"}, option)
}

// foreign reports whether a namespace may be that of the host or of another container. All values except plain names count,
// because engines have further syntax for such namespaces, for example Podman's ns:PATH.
func foreign(mode string) bool {
	return mode == "host" || mode != "" && flagval.CheckRef(mode) != nil
}

func (l *asking) resources(h *dockerapi.HostConfig) {
	l.flag("OomKillDisable", h.OomKillDisable != nil && *h.OomKillDisable, "leaves the host without memory")
	if h.OomScoreAdj != 0 {
		l.option("OomScoreAdj", strconv.Itoa(h.OomScoreAdj), when(h.OomScoreAdj < 0, "has the host's own programs killed in its place"))
	}
	if h.MemorySwap != 0 {
		l.option("MemorySwap", strconv.FormatInt(h.MemorySwap, 10), when(h.MemorySwap < 0, "takes all of the host's swap"))
	}
	for _, u := range h.Ulimits {
		l.option("Ulimit", fmt.Sprintf("%s=%d", u.Name, u.Hard), when(u.Name == "rtprio" || u.Name == "nice", "lets its programs go before the host's own"))
	}
}

// sortedKeys returns the keys of a map, sorted.
func sortedKeys[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil // most are, and a sort of nothing allocates
	}
	return slices.Sorted(maps.Keys(m))
}

// pairs returns NAME=VALUE of a map, in the order of the names.
func pairs(m map[string]string) (list []string) {
	for _, k := range sortedKeys(m) {
		list = append(list, k+"="+m[k])
	}
	return list
}
