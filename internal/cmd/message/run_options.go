package message

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// The options of run and create are those of `docker run` that make sense in a message. They fill the request to the engine;
// an option that is not given is not in it. There are none of a terminal (detach-keys, sig-proxy), of the caller's files
// (env-file, label-file, cidfile), or of Windows. For these on a command line see RunLine.

// config makes a key's field function for the container's own settings.
func config[V any](field func(*dockerapi.ContainerConfig) *V) func(*Run) *V {
	return func(r *Run) *V { return field(&r.Spec) }
}

// host does so for the settings of the host.
func host[V any](field func(*dockerapi.HostConfig) *V) func(*Run) *V {
	return func(r *Run) *V { return field(r.host()) }
}

// health does so for the health check.
func health[V any](field func(*dockerapi.Healthcheck) *V) func(*Run) *V {
	return func(r *Run) *V { return field(flagval.Made(&r.Spec.Healthcheck)) }
}

// endpoint does so for the first network.
func endpoint[V any](field func(*dockerapi.EndpointSettings) *V) func(*Run) *V {
	return func(r *Run) *V { return field(&r.endpoint) }
}

// ipam does so for the addresses in the first network.
func ipam[V any](field func(*dockerapi.EndpointIPAM) *V) func(*Run) *V {
	return func(r *Run) *V { return field(flagval.Made(&r.endpoint.IPAMConfig)) }
}

// logs does so for the log driver.
func logs[V any](field func(*dockerapi.LogConfig) *V) func(*Run) *V {
	return func(r *Run) *V { return field(flagval.Made(&r.host().LogConfig)) }
}

// PullPolicies are the values of docker run's --pull.
var PullPolicies = []string{"missing", "always", "never"}

// Shorthands for the closures below.
type (
	containerConfig = dockerapi.ContainerConfig
	hostConfig      = dockerapi.HostConfig
)

// containerOptions are the options of both run and create.
var containerOptions = append([]key[Run]{
	textKey("Name", "the container's name, none that begins with `dispatch-`; left out: `dispatch-` and 12 hex digits", func(r *Run) *string { return &r.Name }, checkOwnName),
	{name: "Entrypoint", form: formList, help: "replaces the image's; `\"\"` clears it", set: func(r *Run, v []string) error {
		r.Entrypoint = v
		if len(v) == 0 {
			r.Entrypoint = []string{""} // an empty list clears the image's, as "" does
		}
		return flagval.CheckArgs(r.Entrypoint)
	}},
	{name: "Pull", form: formText, help: "pull the image before: `missing`, `always` or `never`; left out: as `--pull` says", set: func(r *Run, v []string) error {
		r.Pull = v[0]
		return oneOf(PullPolicies...)(r.Pull)
	}, values: PullPolicies},
	textKey("Platform", "OS[/ARCH[/VARIANT]] of the image, where it has several", config(func(c *containerConfig) *string { return &c.Platform }), flagval.ParsePlatform),

	// The process.
	{name: "Env", flags: []string{"env", "e"}, form: formPairs, help: "environment variables; `NAME` alone removes the image's, `NAME=secret:SECRET` has a secret's value", set: func(r *Run, v []string) error {
		if err := flagval.Each(v, flagval.ParseEnv); err != nil {
			return err
		}
		r.Spec.Env = flagval.LastOfEach(v)
		return nil
	}},
	listKey("Secret", "secrets of the daemon, as files in /run/secrets, see [secrets](operate.md#secrets)", func(r *Run) *[]string { return &r.Secrets }, flagval.CheckSecret),
	textKey("User", "user and group, NAME or id[:GROUP or id]", config(func(c *containerConfig) *string { return &c.User })).called("user", "u"),
	listKey("GroupAdd", "further groups", host(func(h *hostConfig) *[]string { return &h.GroupAdd })),
	textKey("Workdir", "working directory", config(func(c *containerConfig) *string { return &c.WorkingDir })).called("workdir", "w"),
	boolKey("Interactive", "standard input is kept open, also where it is not attached", func(r *Run) *bool { return &r.Interactive }).called("interactive", "i"),
	boolKey("Tty", "a terminal: standard error is then part of standard output", config(func(c *containerConfig) *bool { return &c.Tty })).called("tty", "t"),
	valueKey(formBool, "Init", "a small init as the first process, which passes signals on and reaps children", host(func(h *hostConfig) **bool { return &h.Init }), to(strconv.ParseBool)),
	textKey("StopSignal", "the signal that a stop sends", config(func(c *containerConfig) *string { return &c.StopSignal })),
	numberKey("StopTimeout", "seconds between a stop's signal and the kill; -1: no kill", config(func(c *containerConfig) **int { return &c.StopTimeout }), to(parseInt[int](-1, math.MaxInt32))),
	valueKey(formText, "Restart", "when the engine starts it again: `no`, `on-failure[:N]`, `always`, `unless-stopped`", host(func(h *hostConfig) **dockerapi.RestartPolicy { return &h.RestartPolicy }), to(flagval.ParseRestart)),
	pairsKey("Label", "labels; those that begin with `docker-dispatch.` are ours", config(func(c *containerConfig) *map[string]string { return &c.Labels }), ownLabel).called("label", "l"),
	pairsKey("Annotation", "annotations for the runtime", host(func(h *hostConfig) *map[string]string { return &h.Annotations }), flagval.ParseKeyValue),

	// Resources.
	numberKey("Memory", "most memory, such as `512m`", host(func(h *hostConfig) *int64 { return &h.Memory }), flagval.ParseBytes).called("memory", "m"),
	numberKey("MemoryReservation", "memory that is kept for it", host(func(h *hostConfig) *int64 { return &h.MemoryReservation }), flagval.ParseBytes),
	numberKey("MemorySwap", "most memory and swap together; -1: any swap", host(func(h *hostConfig) *int64 { return &h.MemorySwap }), flagval.ParseMemorySwap),
	{name: "MemorySwappiness", form: formNumber, help: "0 to 100; -1: the host's", set: func(r *Run, v []string) error {
		n, err := parseInt[int64](-1, 100)(v[0])
		if n >= 0 {
			r.host().MemorySwappiness = &n
		}
		return err
	}},
	numberKey("ShmSize", "size of /dev/shm", host(func(h *hostConfig) *int64 { return &h.ShmSize }), flagval.ParseBytes),
	numberKey("Cpus", "number of CPUs, such as `1.5`", host(func(h *hostConfig) *int64 { return &h.NanoCPUs }), flagval.ParseCPUs),
	numberKey("CpuShares", "relative weight", host(func(h *hostConfig) *int64 { return &h.CPUShares }), anyInt).called("cpu-shares", "c"),
	numberKey("CpuPeriod", "microseconds", host(func(h *hostConfig) *int64 { return &h.CPUPeriod }), anyInt),
	numberKey("CpuQuota", "microseconds in a period", host(func(h *hostConfig) *int64 { return &h.CPUQuota }), anyInt),
	numberKey("CpuRtPeriod", "microseconds, of real time", host(func(h *hostConfig) *int64 { return &h.CPURealtimePeriod }), anyInt),
	numberKey("CpuRtRuntime", "microseconds in a period of real time", host(func(h *hostConfig) *int64 { return &h.CPURealtimeRuntime }), anyInt),
	textKey("CpusetCpus", "CPUs it may use, such as `0-3,5`", host(func(h *hostConfig) *string { return &h.CpusetCpus })),
	textKey("CpusetMems", "memory nodes it may use", host(func(h *hostConfig) *string { return &h.CpusetMems })),
	numberKey("PidsLimit", "most processes; -1: any number", host(func(h *hostConfig) **int64 { return &h.PidsLimit }), to(anyInt)),
	{name: "Ulimit", form: formList, help: "limits of its processes, NAME=SOFT[:HARD]", set: func(r *Run, v []string) error {
		h := r.host()
		return flagval.Each(v, func(s string) error {
			u, err := flagval.ParseUlimit(s)
			// The last limit of a name wins.
			h.Ulimits = append(slices.DeleteFunc(h.Ulimits, func(o dockerapi.Ulimit) bool { return o.Name == u.Name }), u)
			return err
		})
	}},
	numberKey("BlkioWeight", "relative weight at the disks, 10 to 1000", host(func(h *hostConfig) *uint16 { return &h.BlkioWeight }), parseInt[uint16](0, math.MaxUint16)),
	itemsKey("BlkioWeightDevice", "the same for one disk, PATH:WEIGHT", host(func(h *hostConfig) *[]dockerapi.WeightDevice { return &h.BlkioWeightDevice }), flagval.ParseWeightDevice),
	itemsKey("DeviceReadBps", "most bytes a second, PATH:RATE", host(func(h *hostConfig) *[]dockerapi.ThrottleDevice { return &h.BlkioDeviceReadBps }), flagval.ParseThrottleBps),
	itemsKey("DeviceWriteBps", "most bytes a second, PATH:RATE", host(func(h *hostConfig) *[]dockerapi.ThrottleDevice { return &h.BlkioDeviceWriteBps }), flagval.ParseThrottleBps),
	itemsKey("DeviceReadIops", "most operations a second, PATH:RATE", host(func(h *hostConfig) *[]dockerapi.ThrottleDevice { return &h.BlkioDeviceReadIOps }), flagval.ParseThrottleIOps),
	itemsKey("DeviceWriteIops", "most operations a second, PATH:RATE", host(func(h *hostConfig) *[]dockerapi.ThrottleDevice { return &h.BlkioDeviceWriteIOps }), flagval.ParseThrottleIOps),
	valueKey(formBool, "OomKillDisable", "wait for memory rather than be killed", host(func(h *hostConfig) **bool { return &h.OomKillDisable }), to(strconv.ParseBool)),
	numberKey("OomScoreAdj", "-1000 to 1000: who is killed first", host(func(h *hostConfig) *int { return &h.OomScoreAdj }), parseInt[int](-1000, 1000)),

	// Files.
	{name: "Volume", flags: []string{"volume", "v"}, form: formList, help: "volumes and, if the policy allows it, paths of the host: SOURCE:TARGET[:OPTIONS]", set: func(r *Run, v []string) error {
		seen := make(map[string]struct{}, len(v))
		return flagval.Each(v, func(s string) error {
			bind, anonymous, err := flagval.ParseVolume(s)
			switch {
			case err != nil:
				return err
			case bind != "":
				if _, ok := seen[bind]; !ok {
					seen[bind] = struct{}{}
					r.host().Binds = append(r.host().Binds, bind)
				}
			default:
				if r.Spec.Volumes == nil {
					r.Spec.Volumes = make(map[string]struct{})
				}
				r.Spec.Volumes[anonymous] = struct{}{}
			}
			return nil
		})
	}},
	itemsKey("Mount", "mounts, `type=volume,src=NAME,dst=PATH`", host(func(h *hostConfig) *[]dockerapi.Mount { return &h.Mounts }), flagval.ParseMount),
	pairsKey("Tmpfs", "file systems in memory, PATH[:OPTIONS]", host(func(h *hostConfig) *map[string]string { return &h.Tmpfs }), flagval.ParseTmpfs).as(formList),
	listKey("VolumesFrom", "the volumes of other containers, NAME[:ro]", host(func(h *hostConfig) *[]string { return &h.VolumesFrom })),
	textKey("VolumeDriver", "the driver of new volumes", host(func(h *hostConfig) *string { return &h.VolumeDriver })),
	boolKey("ReadOnly", "its own file system cannot be written", host(func(h *hostConfig) *bool { return &h.ReadonlyRootfs })),
	pairsKey("StorageOpt", "options of the storage driver", host(func(h *hostConfig) *map[string]string { return &h.StorageOpt }), flagval.ParseStorageOpt),

	// Networks.
	{name: "Network", flags: []string{"network", "net"}, form: formList, help: "networks: a name, or `name=NAME,alias=...,ip=...`", set: func(r *Run, v []string) error {
		return flagval.Each(v, func(s string) error {
			name, e, err := flagval.ParseNetwork(s)
			r.Networks = append(r.Networks, Network{name, e})
			return err
		})
	}},
	listKey("NetworkAlias", "further names in the first network", endpoint(func(e *dockerapi.EndpointSettings) *[]string { return &e.Aliases })).called("network-alias", "net-alias"),
	textKey("Ip", "its IPv4 address in the first network", ipam(func(i *dockerapi.EndpointIPAM) *string { return &i.IPv4Address }), flagval.ParseIP(4)),
	textKey("Ip6", "its IPv6 address in the first network", ipam(func(i *dockerapi.EndpointIPAM) *string { return &i.IPv6Address }), flagval.ParseIP(6)),
	listKey("LinkLocalIp", "link-local addresses in the first network", ipam(func(i *dockerapi.EndpointIPAM) *[]string { return &i.LinkLocalIPs }), flagval.ParseIP(0)),
	textKey("MacAddress", "its MAC address in the first network", endpoint(func(e *dockerapi.EndpointSettings) *string { return &e.MacAddress }), flagval.ParseMAC),
	{name: "Publish", flags: []string{"publish", "p"}, form: formList, help: "ports on the host, `127.0.0.1:8080:80/tcp`", set: func(r *Run, v []string) error {
		bindings, err := flagval.ParsePublish(v)
		r.host().PortBindings = bindings
		expose(r, bindings)
		return err
	}},
	boolKey("PublishAll", "all ports that the image exposes", host(func(h *hostConfig) *bool { return &h.PublishAllPorts })).called("publish-all", "P"),
	{name: "Expose", form: formList, help: "ports to expose, `80/tcp`, `7000-7010`", set: func(r *Run, v []string) error {
		exposed, err := flagval.ParseExposed(v)
		expose(r, exposed)
		return err
	}},
	textKey("Hostname", "its host name", config(func(c *containerConfig) *string { return &c.Hostname })).called("hostname", "h"),
	textKey("Domainname", "its domain name", config(func(c *containerConfig) *string { return &c.Domainname })),
	itemsKey("Dns", "DNS servers", host(func(h *hostConfig) *[]string { return &h.DNS }), flagval.ParseDNS),
	listKey("DnsOption", "options of the resolver", host(func(h *hostConfig) *[]string { return &h.DNSOptions })).called("dns-option", "dns-opt"),
	itemsKey("DnsSearch", "DNS search domains", host(func(h *hostConfig) *[]string { return &h.DNSSearch }), flagval.ParseDNSSearch),
	itemsKey("AddHost", "lines of /etc/hosts, NAME:ADDRESS", host(func(h *hostConfig) *[]string { return &h.ExtraHosts }), flagval.ParseExtraHost),
	listKey("Link", "links to other containers, NAME[:ALIAS]", host(func(h *hostConfig) *[]string { return &h.Links }), flagval.ParseLink),

	// Rights and namespaces.
	boolKey("Privileged", "all rights on the host", host(func(h *hostConfig) *bool { return &h.Privileged })),
	listKey("CapAdd", "capabilities to add", host(func(h *hostConfig) *[]string { return &h.CapAdd })),
	listKey("CapDrop", "capabilities to drop", host(func(h *hostConfig) *[]string { return &h.CapDrop })),
	{name: "SecurityOpt", form: formList, help: "security options; a seccomp profile as its JSON text", set: func(r *Run, v []string) (err error) {
		h := r.host()
		h.SecurityOpt, h.MaskedPaths, h.ReadonlyPaths, err = flagval.ParseSecurityOpts(v)
		return err
	}},
	{name: "Device", form: formList, help: "devices of the host, PATH[:PATH[:rwm]]", set: func(r *Run, v []string) error {
		return flagval.Each(v, func(s string) error {
			h := r.host()
			if flagval.IsCDI(s) {
				h.DeviceRequests = append(h.DeviceRequests, dockerapi.DeviceRequest{Driver: "cdi", DeviceIDs: []string{s}})
				return nil
			}
			d, err := flagval.ParseDevice(s)
			h.Devices = append(h.Devices, d)
			return err
		})
	}},
	listKey("DeviceCgroupRule", "rules for devices, `c 1:3 rwm`", host(func(h *hostConfig) *[]string { return &h.DeviceCgroupRules }), flagval.ParseDeviceCgroupRule),
	{name: "Gpus", form: formNumber, help: "GPUs: `all`, a number, or `\"device=0,1\"` with its quotation marks", set: func(r *Run, v []string) error {
		d, err := flagval.ParseGPUs(v[0])
		r.host().DeviceRequests = append(r.host().DeviceRequests, d)
		return err
	}},
	pairsKey("Sysctl", "kernel parameters of its namespaces", host(func(h *hostConfig) *map[string]string { return &h.Sysctls }), flagval.ParseSysctl),
	textKey("Ipc", "`none`, `private`, `shareable`, `host` or `container:NAME`", host(func(h *hostConfig) *string { return &h.IpcMode }), flagval.ParseNamespace("none", "private", "shareable", "host", "container:NAME")),
	textKey("Pid", "`host` or `container:NAME`", host(func(h *hostConfig) *string { return &h.PidMode }), flagval.ParseNamespace("host", "container:NAME")),
	textKey("Uts", "`host`", host(func(h *hostConfig) *string { return &h.UTSMode }), flagval.ParseNamespace("host")),
	textKey("Userns", "`host`", host(func(h *hostConfig) *string { return &h.UsernsMode }), flagval.ParseNamespace("host")),
	textKey("Cgroupns", "`private` or `host`", host(func(h *hostConfig) *string { return &h.CgroupnsMode }), flagval.ParseNamespace("host", "private")),
	textKey("CgroupParent", "the cgroup above its own", host(func(h *hostConfig) *string { return &h.CgroupParent })),
	textKey("Runtime", "the runtime of the engine that runs it", host(func(h *hostConfig) *string { return &h.Runtime })),

	// Health.
	textKey("HealthCmd", "a shell's line that tells whether it is well", func(r *Run) *string { return &r.healthCmd }),
	durationKey("HealthInterval", "time between two checks, such as `30s`", health(func(h *dockerapi.Healthcheck) *time.Duration { return &h.Interval })),
	durationKey("HealthTimeout", "the longest a check may take", health(func(h *dockerapi.Healthcheck) *time.Duration { return &h.Timeout })),
	durationKey("HealthStartPeriod", "time to start, in which a failed check does not count", health(func(h *dockerapi.Healthcheck) *time.Duration { return &h.StartPeriod })),
	durationKey("HealthStartInterval", "time between two checks meanwhile", health(func(h *dockerapi.Healthcheck) *time.Duration { return &h.StartInterval })),
	numberKey("HealthRetries", "how many failed checks in a row count", health(func(h *dockerapi.Healthcheck) *int { return &h.Retries }), parseInt[int](0, math.MaxInt32)),
	boolKey("NoHealthcheck", "no checks, whatever the image says", func(r *Run) *bool { return &r.noHealthcheck }),

	// Logs.
	textKey("LogDriver", "where the engine keeps its output", logs(func(l *dockerapi.LogConfig) *string { return &l.Type })),
	pairsKey("LogOpt", "options of the log driver", logs(func(l *dockerapi.LogConfig) *map[string]string { return &l.Config }), flagval.ParseKeyValue),
}, placementKeys(func(r *Run) *Placement { return &r.Placement })...)

func durationKey(name, help string, field func(*Run) *time.Duration) key[Run] {
	return valueKey(formText, name, help, field, flagval.ParseDuration)
}

func anyInt(s string) (int64, error) { return parseInt[int64](math.MinInt64, math.MaxInt64)(s) }

// DerivedName is the prefix of the names that the daemon chooses for containers. A message may not choose such a name.
const DerivedName = "dispatch-"

// checkOwnName refuses a name that a message may not choose for a container.
func checkOwnName(name string) error {
	if strings.HasPrefix(name, DerivedName) {
		return fmt.Errorf("a name that begins with %s is reserved for the daemon; choose another, or leave it out", DerivedName)
	}
	return flagval.CheckName(name)
}

// labelPrefix is the prefix of the daemon's own labels.
const labelPrefix = "docker-dispatch."

// ownLabel reads a label, and refuses those by which the daemon knows its containers.
func ownLabel(s string) (k, v string, err error) {
	k, v, err = flagval.ParseLabel(s)
	if err == nil && strings.HasPrefix(k, labelPrefix) {
		err = fmt.Errorf("%s is reserved for the daemon; choose another name", flagval.Quote(k))
	}
	return k, v, err
}
