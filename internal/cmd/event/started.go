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
	Adopted       bool     `json:",omitempty"` // an earlier process of the daemon started it
}

// Output is a piece of one stream of a container: whole lines with their newlines, or a part of a line that is too long to
// hold. The stream's last line may have no newline.
type Output struct {
	Job           string
	ContainerName string
	Attempt       int    // as in Result
	Stream        string // "stdout" or "stderr"
	Offset        int64  // bytes of that stream before this piece
	Data          []byte // valid until Reporter.Output returns
}
