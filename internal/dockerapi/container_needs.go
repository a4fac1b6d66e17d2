package dockerapi

// needs returns the fields of cfg that an older engine would ignore or apply
// elsewhere, with their API versions.
func (cfg ContainerConfig) needs() []need {
	var needs []need
	add := func(given bool, what, api string) {
		if given {
			needs = append(needs, need{what, api})
		}
	}
	add(cfg.Platform != "", "a platform", "1.41")
	if check := cfg.Healthcheck; check != nil {
		add(check.StartInterval != 0, "a health check's start interval", "1.44")
	}
	h := cfg.HostConfig
	if h == nil {
		return needs
	}
	add(h.CgroupnsMode != "", "a cgroup namespace mode", "1.41")
	add(len(h.Annotations) > 0, "an annotation", "1.43")
	for _, m := range h.Mounts {
		add(m.Type == "image", "a mount of an image", "1.48")
		if o := m.BindOptions; o != nil {
			add(o.ReadOnlyNonRecursive || o.ReadOnlyForceRecursive, "a choice of recursive read-only mounts", "1.44")
		}
		if o := m.VolumeOptions; o != nil {
			add(o.Subpath != "", "a mount of a part of a volume", "1.45")
		}
	}
	for name, e := range cfg.endpoints() {
		add(e.MacAddress != "" && name != h.NetworkMode, "a MAC address in a further network", "1.44")
		add(e.GwPriority != 0, "a network's gateway priority", "1.48")
	}
	return needs
}

func (cfg ContainerConfig) endpoints() map[string]*EndpointSettings {
	if cfg.NetworkingConfig == nil {
		return nil
	}
	return cfg.NetworkingConfig.EndpointsConfig
}

// forVersion adapts cfg to API version api. From 1.44 on the MAC address
// belongs to a network: forVersion drops that of cfg. Before 1.44 an engine
// takes one network: forVersion keeps that of NetworkMode only.
func (cfg ContainerConfig) forVersion(api string) ContainerConfig {
	if !older(api, "1.44") {
		cfg.MacAddress = ""
		return cfg
	}
	if cfg.HostConfig == nil || len(cfg.endpoints()) == 0 {
		return cfg
	}
	first := cfg.HostConfig.NetworkMode
	only := make(map[string]*EndpointSettings)
	if e := cfg.endpoints()[first]; e != nil {
		only[first] = e // with its MAC address: Podman reads it here in every version
	}
	cfg.NetworkingConfig = &NetworkingConfig{EndpointsConfig: only}
	return cfg
}
