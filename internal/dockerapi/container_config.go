package dockerapi

import "time"

// A ContainerConfig is the configuration of a new container. An empty field is
// not sent: the default of the image or the engine applies. The API gives the
// names. Sizes are in bytes and durations in nanoseconds.
type ContainerConfig struct {
	// Image is a name with or without a tag, a digest, or an image id.
	Image string `json:",omitempty"`

	// Platform is the image's OS[/ARCH[/VARIANT]], if the engine has the image
	// for several. API 1.41.
	Platform string `json:"-"`

	// Entrypoint, if empty, is the image's. [""] means no entrypoint. Any
	// Entrypoint drops the image's Cmd.
	Entrypoint []string `json:",omitempty"`

	// Cmd, if empty, is the image's, unless Entrypoint is given.
	Cmd []string `json:",omitempty"`

	Hostname   string `json:",omitempty"`
	Domainname string `json:",omitempty"`
	User       string `json:",omitempty"` // NAME|UID[:GROUP|GID]
	WorkingDir string `json:",omitempty"` // absolute

	// Env entries are NAME=VALUE, added to the image's. An entry without =
	// removes the variable.
	Env    []string          `json:",omitempty"`
	Labels map[string]string `json:",omitempty"`

	// ExposedPorts are keys such as "80/tcp".
	ExposedPorts map[string]struct{} `json:",omitempty"`

	// Volumes are paths. Each gets an anonymous volume.
	Volumes map[string]struct{} `json:",omitempty"`

	// MacAddress is the address in the first network before API 1.44; see
	// EndpointSettings.
	MacAddress string `json:",omitempty"`

	// OpenStdin gives the command a stdin. With StdinOnce the stdin ends with
	// the first attach that sends it. Without StdinOnce the stdin never ends.
	OpenStdin bool `json:",omitempty"`
	StdinOnce bool `json:",omitempty"`

	// The Attach fields are only shown by inspect: any stream can be attached.
	AttachStdin  bool `json:",omitempty"`
	AttachStdout bool `json:",omitempty"`
	AttachStderr bool `json:",omitempty"`

	// Tty merges stdout and stderr, turns \n into \r\n, and drops the framing.
	Tty bool `json:",omitempty"`

	StopSignal  string       `json:",omitempty"` // "SIGTERM", "15", ...
	StopTimeout *int         `json:",omitempty"` // seconds; -1: never killed
	Healthcheck *Healthcheck `json:",omitempty"`

	HostConfig       *HostConfig       `json:",omitempty"`
	NetworkingConfig *NetworkingConfig `json:",omitempty"`
}

// A Healthcheck is how the engine checks the health of a container. Empty
// fields are the image's.
type Healthcheck struct {
	// Test is ["NONE"] for no check, ["CMD", args...], or ["CMD-SHELL", line].
	Test          []string      `json:",omitempty"`
	Interval      time.Duration `json:",omitempty"`
	Timeout       time.Duration `json:",omitempty"`
	StartPeriod   time.Duration `json:",omitempty"`
	StartInterval time.Duration `json:",omitempty"` // API 1.44
	Retries       int           `json:",omitempty"`
}

// A HostConfig is the part of a container's configuration that concerns the
// host.
//
// Empty lists and maps with the tag omitzero are sent unless nil, because
// inspect shows the difference.
type HostConfig struct {
	// Files.
	Binds          []string          `json:",omitempty"` // SOURCE:TARGET[:OPTIONS]; a source without slash is a volume
	Mounts         []Mount           `json:",omitempty"`
	Tmpfs          map[string]string `json:",omitempty"` // path to mount options
	VolumesFrom    []string          `json:",omitempty"`
	VolumeDriver   string            `json:",omitempty"`
	ReadonlyRootfs bool              `json:",omitempty"`
	StorageOpt     map[string]string `json:",omitempty"`
	ShmSize        int64             `json:",omitempty"`

	// Networks.

	// NetworkMode is "bridge", "host", "none", "container:ID" or a network's
	// name. Only start checks that the network exists.
	NetworkMode     string                   `json:",omitempty"`
	PortBindings    map[string][]PortBinding `json:",omitzero"` // keys such as "80/tcp"
	PublishAllPorts bool                     `json:",omitempty"`
	DNS             []string                 `json:"Dns,omitzero"`
	DNSOptions      []string                 `json:"DnsOptions,omitzero"`
	DNSSearch       []string                 `json:"DnsSearch,omitzero"`
	ExtraHosts      []string                 `json:",omitempty"` // NAME:IP
	Links           []string                 `json:",omitempty"`

	// Rights and namespaces.
	CapAdd        []string          `json:",omitempty"`
	CapDrop       []string          `json:",omitempty"`
	Privileged    bool              `json:",omitempty"`
	GroupAdd      []string          `json:",omitempty"`
	SecurityOpt   []string          `json:",omitzero"`
	MaskedPaths   *[]string         `json:",omitempty"` // nil: the engine's own
	ReadonlyPaths *[]string         `json:",omitempty"` // nil: the engine's own
	CgroupnsMode  string            `json:",omitempty"` // API 1.41
	IpcMode       string            `json:",omitempty"`
	PidMode       string            `json:",omitempty"`
	UTSMode       string            `json:",omitempty"`
	UsernsMode    string            `json:",omitempty"`
	Sysctls       map[string]string `json:",omitempty"`
	Runtime       string            `json:",omitempty"`
	Annotations   map[string]string `json:",omitempty"` // API 1.43

	// Resources.
	Memory               int64            `json:",omitempty"`
	MemoryReservation    int64            `json:",omitempty"`
	MemorySwap           int64            `json:",omitempty"` // memory and swap together; -1: unlimited
	MemorySwappiness     *int64           `json:",omitempty"` // 0 to 100
	NanoCPUs             int64            `json:"NanoCpus,omitempty"`
	CPUShares            int64            `json:"CpuShares,omitempty"`
	CPUPeriod            int64            `json:"CpuPeriod,omitempty"` // microseconds
	CPUQuota             int64            `json:"CpuQuota,omitempty"`  // microseconds
	CPURealtimePeriod    int64            `json:"CpuRealtimePeriod,omitempty"`
	CPURealtimeRuntime   int64            `json:"CpuRealtimeRuntime,omitempty"`
	CpusetCpus           string           `json:",omitempty"`
	CpusetMems           string           `json:",omitempty"`
	PidsLimit            *int64           `json:",omitempty"` // -1: unlimited
	Ulimits              []Ulimit         `json:",omitzero"`
	BlkioWeight          uint16           `json:",omitempty"` // 10 to 1000
	BlkioWeightDevice    []WeightDevice   `json:",omitzero"`
	BlkioDeviceReadBps   []ThrottleDevice `json:",omitzero"`
	BlkioDeviceWriteBps  []ThrottleDevice `json:",omitzero"`
	BlkioDeviceReadIOps  []ThrottleDevice `json:",omitzero"`
	BlkioDeviceWriteIOps []ThrottleDevice `json:",omitzero"`
	OomKillDisable       *bool            `json:",omitempty"`
	OomScoreAdj          int              `json:",omitempty"` // -1000 to 1000
	CgroupParent         string           `json:",omitempty"`
	Devices              []Device         `json:",omitzero"`
	DeviceCgroupRules    []string         `json:",omitempty"`
	DeviceRequests       []DeviceRequest  `json:",omitempty"`

	// Init nil is the engine's default. True runs the command under a small
	// init, which forwards signals and reaps children.
	Init *bool `json:",omitempty"`

	RestartPolicy *RestartPolicy `json:",omitempty"`
	LogConfig     *LogConfig     `json:",omitempty"`
}

// A LogConfig chooses the store of the output that [Client.ContainerLogs] reads.
type LogConfig struct {
	Type   string            `json:",omitempty"` // "json-file", "local", "none", ...
	Config map[string]string `json:",omitempty"` // all values are strings, numbers too: "max-size": "10m"
}

// A RestartPolicy is when the engine restarts an exited container.
type RestartPolicy struct {
	Name              string `json:",omitempty"` // "no", "always", "unless-stopped" or "on-failure"
	MaximumRetryCount int    `json:",omitempty"` // for on-failure
}

// A PortBinding is the host address of a container port.
type PortBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string // "": the engine chooses; FIRST-LAST: the engine chooses in that range
}

// A Ulimit is a resource limit of the container's processes, as in setrlimit.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// A WeightDevice is the relative weight of a block device.
type WeightDevice struct {
	Path   string
	Weight uint16
}

// A ThrottleDevice is the maximum of bytes or operations per second on a block device.
type ThrottleDevice struct {
	Path string
	Rate uint64
}

// A Device is a host device that the container gets.
type Device struct {
	PathOnHost        string
	PathInContainer   string
	CgroupPermissions string // any of r, w, m
}

// A DeviceRequest asks a driver, such as the GPU driver, for devices. API 1.40.
type DeviceRequest struct {
	Driver       string            `json:",omitempty"`
	Count        int               `json:",omitempty"` // -1: all
	DeviceIDs    []string          `json:",omitempty"`
	Capabilities [][]string        `json:",omitempty"`
	Options      map[string]string `json:",omitzero"`
}

// A Mount is one entry of "docker run --mount".
type Mount struct {
	Type          string         `json:",omitempty"` // "bind", "volume", "tmpfs", "image", "cluster"
	Source        string         `json:",omitempty"`
	Target        string         `json:",omitempty"`
	ReadOnly      bool           `json:",omitempty"`
	Consistency   string         `json:",omitempty"`
	BindOptions   *BindOptions   `json:",omitempty"`
	VolumeOptions *VolumeOptions `json:",omitempty"`
	ImageOptions  *ImageOptions  `json:",omitempty"` // API 1.48
	TmpfsOptions  *TmpfsOptions  `json:",omitempty"`
}

// BindOptions are the options of a mount of type bind.
type BindOptions struct {
	Propagation            string `json:",omitempty"`
	NonRecursive           bool   `json:",omitempty"`
	ReadOnlyNonRecursive   bool   `json:",omitempty"` // API 1.44
	ReadOnlyForceRecursive bool   `json:",omitempty"` // API 1.44
}

// VolumeOptions are the options of a mount of type volume.
type VolumeOptions struct {
	NoCopy       bool              `json:",omitempty"`
	Labels       map[string]string `json:",omitempty"`
	Subpath      string            `json:",omitempty"` // API 1.45
	DriverConfig *VolumeDriver     `json:",omitempty"`
}

// A VolumeDriver creates the volume if it does not exist.
type VolumeDriver struct {
	Name    string            `json:",omitempty"`
	Options map[string]string `json:",omitempty"`
}

// ImageOptions are the options of a mount of type image.
type ImageOptions struct {
	Subpath string `json:",omitempty"`
}

// TmpfsOptions are the options of a mount of type tmpfs.
type TmpfsOptions struct {
	SizeBytes int64  `json:",omitempty"`
	Mode      uint32 `json:",omitempty"` // permission bits
}

// A NetworkingConfig is a container's connections. The keys are network names.
type NetworkingConfig struct {
	EndpointsConfig map[string]*EndpointSettings
}

// EndpointSettings are a container's connection to one network.
type EndpointSettings struct {
	IPAMConfig *EndpointIPAM     `json:",omitempty"`
	Links      []string          `json:",omitempty"`
	Aliases    []string          `json:",omitempty"`
	MacAddress string            `json:",omitempty"` // API 1.44
	DriverOpts map[string]string `json:",omitempty"`
	GwPriority int               `json:",omitempty"` // API 1.48
}

// EndpointIPAM are the addresses that a container asks for.
type EndpointIPAM struct {
	IPv4Address  string   `json:",omitempty"`
	IPv6Address  string   `json:",omitempty"`
	LinkLocalIPs []string `json:",omitempty"`
}
