package status

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// mostText bounds each text of a status that is sent, in bytes. Publishers choose names and images of any length.
const mostText = 500

// Encode returns the status as JSON of at most most bytes: with fewer jobs, if need be, and those of the longest list go
// first; nil: not even so. It cuts the lists and the texts of s.
func (s *Status) Encode(most int) []byte {
	s.bound()
	for {
		body, err := json.Marshal(s)
		switch {
		case err != nil:
			return nil
		case len(body) <= most:
			return body
		}
		longest := slices.MaxFunc([]*[]Job{&s.Running.Jobs, &s.Waiting.Jobs, &s.Ended, &s.Failed}, func(a, b *[]Job) int { return cmp.Compare(len(*a), len(*b)) })
		if len(*longest) == 0 {
			return nil
		}
		*longest = (*longest)[:len(*longest)/2]
	}
}

// Decode reads what Encode has made. A stranger may have made it: no list and no text is longer than Encode's.
func Decode(body []byte) (s Status, err error) {
	if err = json.Unmarshal(body, &s); err == nil {
		s.bound()
	}
	return s, err
}

// mostKinds bounds the lists whose length the program determines.
const mostKinds = 200

func (s *Status) bound() {
	s.Conditions = s.Conditions[:min(len(s.Conditions), mostKinds)]
	s.Outcomes = s.Outcomes[:min(len(s.Outcomes), mostKinds)]
	cut(&s.Host, &s.Queue, &s.Version, &s.DeadLetterQueue)
	for i := range s.Conditions {
		c := &s.Conditions[i]
		cut(&c.Name, (*string)(&c.State), &c.Reason)
	}
	for i := range s.Outcomes {
		o := &s.Outcomes[i]
		cut(&o.Command, &o.Status, &o.Reason)
	}
	for list, most := range map[*[]Job]int{&s.Running.Jobs: Most, &s.Waiting.Jobs: Most, &s.Ended: MostEnded, &s.Failed: MostEnded} {
		*list = (*list)[:min(len(*list), most)]
		for i := range *list {
			(*list)[i].Cut()
		}
	}
}

// Cut shortens the job's texts to the length in which they are sent.
func (j *Job) Cut() {
	cut(&j.Job, &j.Command, &j.ContainerName, &j.ContainerID, &j.Image, &j.User, &j.Phase, &j.For, &j.Status, &j.Reason, &j.Error)
}

// cut shortens texts to mostText.
func cut(texts ...*string) {
	for _, t := range texts {
		if len(*t) > mostText {
			*t = strings.ToValidUTF8((*t)[:mostText-3], "") + "..."
		}
	}
}
