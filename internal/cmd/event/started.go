package event

// Started says that a job's container runs.
type Started struct {
	Job           string
	Command       string `json:"Dockercmd"`
	Host          string
	ContainerID   string `json:"ContainerId"`
	ContainerName string
	Image         string
	Attempt       int      `json:",omitempty"` // as in Result
	Warnings      []string `json:",omitempty"` // as in Result
	Adopted       bool     `json:",omitempty"` // it was started by an earlier process
}

// Output is a piece of one stream of a container: one or more whole lines with their newlines, the
// stream's last line also without one, or a part of a line that is too long to hold.
type Output struct {
	Job           string
	ContainerName string
	Attempt       int    // as in Result
	Stream        string // "stdout" or "stderr"
	Offset        int64  // bytes of that stream before this piece
	Data          []byte // valid until Reporter.Output returns
}
