package dockerapi

import (
	"encoding/json"
	"fmt"
	"testing"
)

// What an older engine would ignore without a word is told to the caller.
func TestCreateNeeds(t *testing.T) {
	for _, tt := range []struct {
		cfg  ContainerConfig
		want string
	}{
		{ContainerConfig{HostConfig: &HostConfig{Memory: 1, Mounts: []Mount{{Type: "bind", BindOptions: &BindOptions{}}}}, Healthcheck: &Healthcheck{Retries: 1}}, "[]"},
		{ContainerConfig{Platform: "linux/arm64"}, "[{a platform 1.41}]"},
		{ContainerConfig{Healthcheck: &Healthcheck{StartInterval: 1}}, "[{a health check's start interval 1.44}]"},
		{ContainerConfig{HostConfig: &HostConfig{CgroupnsMode: "private"}}, "[{a cgroup namespace mode 1.41}]"},
		{ContainerConfig{HostConfig: &HostConfig{Annotations: map[string]string{"a": "b"}}}, "[{an annotation 1.43}]"},
		{ContainerConfig{HostConfig: &HostConfig{Mounts: []Mount{{Type: "image"}}}}, "[{a mount of an image 1.48}]"},
		{ContainerConfig{HostConfig: &HostConfig{Mounts: []Mount{{BindOptions: &BindOptions{ReadOnlyNonRecursive: true}}}}}, "[{a choice of recursive read-only mounts 1.44}]"},
		{ContainerConfig{HostConfig: &HostConfig{Mounts: []Mount{{VolumeOptions: &VolumeOptions{Subpath: "a"}}}}}, "[{a mount of a part of a volume 1.45}]"},
		{ContainerConfig{HostConfig: &HostConfig{}, NetworkingConfig: &NetworkingConfig{map[string]*EndpointSettings{"a": {GwPriority: 1}}}}, "[{a network's gateway priority 1.48}]"},
	} {
		if got := fmt.Sprint(tt.cfg.needs()); got != tt.want {
			t.Errorf("%+v: needs %s, want %s", tt.cfg, got, tt.want)
		}
	}
}

// A MAC address stands where the version has it, and an old engine gets one network.
func TestCreateForVersion(t *testing.T) {
	cfg := ContainerConfig{
		MacAddress: "02:00:00:00:00:01",
		HostConfig: &HostConfig{NetworkMode: "a"},
		NetworkingConfig: &NetworkingConfig{map[string]*EndpointSettings{
			"a": {MacAddress: "02:00:00:00:00:01", Aliases: []string{"x"}}, "b": {Aliases: []string{"y"}},
		}},
	}
	before, _ := json.Marshal(cfg)
	for api, want := range map[string]string{
		"1.43": `{"MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"a"},"NetworkingConfig":{"EndpointsConfig":{"a":{"Aliases":["x"],"MacAddress":"02:00:00:00:00:01"}}}}`,
		"1.44": `{"HostConfig":{"NetworkMode":"a"},"NetworkingConfig":{"EndpointsConfig":{"a":{"Aliases":["x"],"MacAddress":"02:00:00:00:00:01"},"b":{"Aliases":["y"]}}}}`,
	} {
		if got, _ := json.Marshal(cfg.forVersion(api)); string(got) != want {
			t.Errorf("%s:\ngot  %s\nwant %s", api, got, want)
		}
	}
	if after, _ := json.Marshal(cfg); string(after) != string(before) {
		t.Errorf("the caller's configuration was changed: %s", after)
	}
}
