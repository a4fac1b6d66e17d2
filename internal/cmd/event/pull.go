package event

// PullStatus is how far a pull has come, in one word.
type PullStatus string

const (
	Pulling    PullStatus = "pulling"
	Pulled     PullStatus = "pulled"
	UpToDate   PullStatus = "up-to-date" // pulled, and the engine had the image already
	PullFailed PullStatus = "failed"     // for good: the result says why
)

// Pull says how far the pull of the job's image has come.
type Pull struct {
	Job     string
	Command string `json:"Dockercmd"`
	Host    string
	Image   string
	Attempt int `json:",omitempty"` // as in Result
	Status  PullStatus
	Missing bool `json:",omitempty"` // the engine could not create the container, because it has no such image
	Progress
}

// Progress sums up the layers of an image that is pulled, as far as the engine has named them.
type Progress struct {
	Layers   int   `json:",omitempty"` // how many there are
	Complete int   `json:",omitempty"` // how many of them the engine has
	Bytes    int64 `json:",omitempty"` // how many bytes are downloaded
	Total    int64 `json:",omitempty"` // how many bytes are to be downloaded, no less than Bytes
}

// JSON returns the event as one line.
func (p Pull) JSON() []byte {
	return Line(struct {
		Event string
		Pull
	}{EventPull, p})
}
