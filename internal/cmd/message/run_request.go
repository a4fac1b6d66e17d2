package message

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A Network is one of the networks that a run asks for.
type Network struct {
	Name     string
	Endpoint dockerapi.EndpointSettings
}

func (r *Run) host() *hostConfig { return flagval.Made(&r.Spec.HostConfig) }

// expose adds the ports that are the keys of a map.
func expose[V any](r *Run, ports map[string]V) {
	if r.Spec.ExposedPorts == nil {
		r.Spec.ExposedPorts = make(map[string]struct{}, len(ports))
	}
	for p := range ports {
		r.Spec.ExposedPorts[p] = struct{}{}
	}
}

// Volumes returns the names of the volumes that the run asks for.
func (r *Run) Volumes() (names []string) {
	h := r.Spec.HostConfig
	if h == nil {
		return nil
	}
	for _, b := range h.Binds {
		if source, _, _ := strings.Cut(b, ":"); !strings.HasPrefix(source, "/") {
			names = append(names, source)
		}
	}
	for _, m := range h.Mounts {
		if (m.Type == "volume" || m.Type == "") && m.Source != "" {
			names = append(names, m.Source)
		}
	}
	return names
}

// finish completes settings that depend on several options, and refuses options that do not go together.
func (r *Run) finish() error {
	h := r.Spec.HostConfig
	switch {
	case len(r.Spec.ExposedPorts) > flagval.MaxPorts:
		return fmt.Errorf("Publish and Expose name %d ports of the container together; at most %d are taken", len(r.Spec.ExposedPorts), flagval.MaxPorts)
	case h == nil:
	case r.Restarts() && r.Remove:
		return errors.New("only one of Restart and Remove can be given; a container that is started again is not removed at its end")
	case h.LogConfig != nil && h.LogConfig.Type == "none" && len(h.LogConfig.Config) > 0:
		return At("LogOpt", errors.New("the log driver none has no options"))
	}
	if h != nil {
		h.CapAdd, h.CapDrop = flagval.CapabilityNames(h.CapAdd), flagval.CapabilityNames(h.CapDrop)
	}
	if err := r.finishHealth(); err != nil {
		return err
	}
	return r.finishNetworks()
}

func (r *Run) finishHealth() error {
	check := r.Spec.Healthcheck
	switch {
	case r.noHealthcheck && (check != nil || r.healthCmd != ""):
		return At("NoHealthcheck", errors.New("it cannot be combined with other Health options"))
	case r.noHealthcheck:
		r.Spec.Healthcheck = &dockerapi.Healthcheck{Test: []string{"NONE"}}
	case check != nil && r.healthCmd == "" && check.Interval == 0 && check.Timeout == 0 && check.StartPeriod == 0 && check.StartInterval == 0 && check.Retries == 0:
		r.Spec.Healthcheck = nil // all are zero, which means the image's own values
	case r.healthCmd != "":
		flagval.Made(&r.Spec.Healthcheck).Test = []string{"CMD-SHELL", r.healthCmd}
	}
	return nil
}

// finishNetworks puts the networks into the request. Options such as Ip and MacAddress apply to the first network.
func (r *Run) finishNetworks() error {
	e := r.endpoint
	asked := e.Aliases != nil || e.IPAMConfig != nil || e.MacAddress != ""
	if len(r.Networks) == 0 {
		if !asked {
			return nil
		}
		r.Networks = []Network{{Name: "default"}}
	}
	first := &r.Networks[0].Endpoint
	if asked {
		switch {
		case e.Aliases != nil && first.Aliases != nil:
			return At("NetworkAlias", errors.New("the first of Network names aliases already"))
		case e.IPAMConfig != nil && first.IPAMConfig != nil:
			return At("Ip, Ip6, LinkLocalIp", errors.New("the first of Network names addresses already"))
		case e.MacAddress != "" && first.MacAddress != "":
			return At("MacAddress", errors.New("the first of Network names one already"))
		}
		if e.Aliases != nil {
			first.Aliases = e.Aliases
		}
		if e.IPAMConfig != nil {
			first.IPAMConfig = e.IPAMConfig
		}
		if e.MacAddress != "" {
			first.MacAddress = e.MacAddress
		}
	}
	r.host().NetworkMode = r.Networks[0].Name
	r.Spec.MacAddress = first.MacAddress // engines before API 1.44 read it here
	endpoints := make(map[string]*dockerapi.EndpointSettings, len(r.Networks))
	for i := range r.Networks {
		n := &r.Networks[i]
		if _, ok := endpoints[n.Name]; ok {
			return At("Network", fmt.Errorf("%s is named twice", flagval.Quote(n.Name)))
		}
		if len(r.Networks) > 1 && !flagval.IsUserDefined(n.Name) {
			return At("Network", fmt.Errorf("%s cannot be combined with other networks", flagval.Quote(n.Name)))
		}
		endpoints[n.Name] = &n.Endpoint
	}
	if len(r.Networks) > 1 || asked || says(r.Networks[0].Endpoint) {
		r.Spec.NetworkingConfig = &dockerapi.NetworkingConfig{EndpointsConfig: endpoints}
	}
	return nil
}

// says reports whether a network's settings hold anything.
func says(e dockerapi.EndpointSettings) bool {
	return e.Aliases != nil || e.IPAMConfig != nil || e.Links != nil || e.MacAddress != "" || e.DriverOpts != nil || e.GwPriority != 0
}

// asDocker completes the host's part of a request as the docker CLI does: then docker inspect shows the same.
func asDocker(given *hostConfig) *hostConfig {
	h := new(hostConfig)
	if given != nil {
		*h = *given
	}
	if h.RestartPolicy == nil {
		h.RestartPolicy = &dockerapi.RestartPolicy{Name: "no"}
	}
	if h.PortBindings == nil {
		h.PortBindings = map[string][]dockerapi.PortBinding{}
	}
	h.DNS, h.DNSOptions, h.DNSSearch = flagval.NotNil(h.DNS), flagval.NotNil(h.DNSOptions), flagval.NotNil(h.DNSSearch)
	h.Ulimits, h.Devices, h.BlkioWeightDevice = flagval.NotNil(h.Ulimits), flagval.NotNil(h.Devices), flagval.NotNil(h.BlkioWeightDevice)
	h.BlkioDeviceReadBps, h.BlkioDeviceWriteBps = flagval.NotNil(h.BlkioDeviceReadBps), flagval.NotNil(h.BlkioDeviceWriteBps)
	h.BlkioDeviceReadIOps, h.BlkioDeviceWriteIOps = flagval.NotNil(h.BlkioDeviceReadIOps), flagval.NotNil(h.BlkioDeviceWriteIOps)
	return h
}

// Request returns the engine's request for the run's container in that attempt. It adds the run's labels to labels.
func (r *Run) Request(labels map[string]string, attempt int) dockerapi.ContainerConfig {
	c := r.Spec
	c.Image, c.Cmd, c.Entrypoint = r.Image, r.Cmd, r.Entrypoint
	c.OpenStdin, c.StdinOnce = r.Stdin || r.Interactive, r.Stdin
	c.AttachStdin, c.AttachStdout, c.AttachStderr = r.Stdin, r.Stdout, r.Stderr
	c.HostConfig = asDocker(c.HostConfig)
	c.Labels = labels
	maps.Copy(c.Labels, r.Spec.Labels)
	if r.Retry != nil {
		c.Env = append(slices.Clip(c.Env), "DISPATCH_ATTEMPT="+strconv.Itoa(attempt))
	}
	return c
}
