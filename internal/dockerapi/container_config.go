package dockerapi

import "time"

// ContainerConfig is what a container is made from. What is left empty is not
// sent, so that the image's own or the engine's default holds. The names are
// those of the API, whose sizes are bytes and whose durations nanoseconds.
type ContainerConfig struct {
	// Image is a name with or without tag, a digest, or an image id.
	Image string `json:",omitempty"`

	// Platform is OS[/ARCH[/VARIANT]] of the image that is meant, where the
	// engine has several. API 1.41.
	Platform string `json:"-"`

	// Entrypoint nil is the image's. One empty string, [""], clears it. Where
	// it is given, the image's Cmd is dropped.
	Entrypoint []string `json:",omitempty"`

	// Cmd empty is the image's, unless Entrypoint is given.
	Cmd []string `json:",omitempty"`

	Hostname   string `json:",omitempty"`
	Domainname string `json:",omitempty"`
	User       string `json:",omitempty"` // NAME|UID[:GROUP|GID]
	WorkingDir string `json:",omitempty"` // absolute

	// Env entries are NAME=VALUE, on top of the image's. An entry without =
	// removes that variable.
	Env    []string          `json:",omitempty"`
	Labels map[string]string `json:",omitempty"`

	// ExposedPorts are such as "80/tcp".
	ExposedPorts map[string]struct{} `json:",omitempty"`

	// Volumes are the paths that get an anonymous volume each.
	Volumes map[string]struct{} `json:",omitempty"`

	// MacAddress is that of the first network before API 1.44; see
	// EndpointSettings.
	MacAddress string `json:",omitempty"`

	// OpenStdin gives the command a stdin. With StdinOnce it ends when the
	// first attach that sends it does; without StdinOnce it never ends.
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

// Healthcheck is how the engine finds out whether a container is well. What is
// empty is the image's own.
type Healthcheck struct {
	// Test is ["NONE"] for no check, ["CMD", args...], or ["CMD-SHELL", line].
	Test          []string      `json:",omitempty"`
	Interval      time.Duration `json:",omitempty"`
	Timeout       time.Duration `json:",omitempty"`
	StartPeriod   time.Duration `json:",omitempty"`
	StartInterval time.Duration `json:",omitempty"` // API 1.44
	Retries       int           `json:",omitempty"`
}

// HostConfig is the part of a container's configuration that concerns the host
// it runs on.
//
// Lists and maps that are tagged omitzero are sent also where they are empty, if
// not nil: inspect shows the difference.
type HostConfig struct {
	// Files.
	Binds          []string          `json:",omitempty"` // SOURCE:TARGET[:OPTIONS]; a source without slash is a volume
	Mounts         []Mount           `json:",omitempty"`
	Tmpfs          map[string]string `json:",omitempty"` // options by path
	VolumesFrom    []string          `json:",omitempty"`
	VolumeDriver   string            `json:",omitempty"`
	ReadonlyRootfs bool              `json:",omitempty"`
	StorageOpt     map[string]string `json:",omitempty"`
	ShmSize        int64             `json:",omitempty"`

	// Networks.

	// NetworkMode is "bridge", "host", "none", "container:ID" or a network's
	// name. That it exists is checked by start only.
	NetworkMode     string                   `json:",omitempty"`
	PortBindings    map[string][]PortBinding `json:",omitzero"` // by port, such as "80/tcp"
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

	// Init nil is the engine's default; true runs the command under a small
	// init, which forwards signals and reaps children.
	Init *bool `json:",omitempty"`

	RestartPolicy *RestartPolicy `json:",omitempty"`
	LogConfig     *LogConfig     `json:",omitempty"`
}

// LogConfig is where a container's output is kept for [Client.ContainerLogs].
type LogConfig struct {
	Type   string            `json:",omitempty"` // "json-file", "local", "none", ...
	Config map[string]string `json:",omitempty"` // numbers too are strings: "max-size": "10m"
}

// RestartPolicy is when the engine starts a container again that has ended.
type RestartPolicy struct {
	Name              string `json:",omitempty"` // "no", "always", "unless-stopped" or "on-failure"
	MaximumRetryCount int    `json:",omitempty"` // for on-failure
}

// PortBinding is where a port of a container is reached on the host.
type PortBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string // "" is one that the engine chooses; FIRST-LAST one of these
}

// Ulimit is a limit of the container's processes, as setrlimit has it.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// WeightDevice is the relative weight of a block device.
type WeightDevice struct {
	Path   string
	Weight uint16
}

// ThrottleDevice is the most bytes or operations a second on a block device.
type ThrottleDevice struct {
	Path string
	Rate uint64
}

// Device is a device of the host that the container gets.
type Device struct {
	PathOnHost        string
	PathInContainer   string
	CgroupPermissions string // some of r, w, m
}

// DeviceRequest asks a driver, such as that of the GPUs, for devices. API 1.40.
type DeviceRequest struct {
	Driver       string            `json:",omitempty"`
	Count        int               `json:",omitempty"` // -1: all
	DeviceIDs    []string          `json:",omitempty"`
	Capabilities [][]string        `json:",omitempty"`
	Options      map[string]string `json:",omitzero"`
}

// Mount is one entry of "docker run --mount".
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

// BindOptions are those of a mount of type bind.
type BindOptions struct {
	Propagation            string `json:",omitempty"`
	NonRecursive           bool   `json:",omitempty"`
	CreateMountpoint       bool   `json:",omitempty"` // API 1.42
	ReadOnlyNonRecursive   bool   `json:",omitempty"` // API 1.44
	ReadOnlyForceRecursive bool   `json:",omitempty"` // API 1.44
}

// VolumeOptions are those of a mount of type volume.
type VolumeOptions struct {
	NoCopy       bool              `json:",omitempty"`
	Labels       map[string]string `json:",omitempty"`
	Subpath      string            `json:",omitempty"` // API 1.45
	DriverConfig *VolumeDriver     `json:",omitempty"`
}

// VolumeDriver is what makes a volume that is not there.
type VolumeDriver struct {
	Name    string            `json:",omitempty"`
	Options map[string]string `json:",omitempty"`
}

// ImageOptions are those of a mount of type image.
type ImageOptions struct {
	Subpath string `json:",omitempty"`
}

// TmpfsOptions are those of a mount of type tmpfs.
type TmpfsOptions struct {
	SizeBytes int64  `json:",omitempty"`
	Mode      uint32 `json:",omitempty"` // permission bits
}

// NetworkingConfig says how a container is connected, by the network's name.
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
