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

// JSON returns the event as one line.
func (s Started) JSON() []byte { return s.AppendJSON(make([]byte, 0, 512)) }

// AppendJSON appends the event to b, as one line.
func (s Started) AppendJSON(b []byte) []byte {
	f := fields(append(b, `{"Event":"`+EventStarted+`"`...))
	f.always("Job", s.Job)
	f.always("Dockercmd", s.Command)
	f.always("Host", s.Host)
	f.always("ContainerId", s.ContainerID)
	f.always("ContainerName", s.ContainerName)
	f.always("Image", s.Image)
	f.number("Attempt", int64(s.Attempt))
	f.texts("Warnings", s.Warnings)
	f.flag("Adopted", s.Adopted)
	return append(f, '}', '\n')
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
