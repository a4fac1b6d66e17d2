package dockerapi

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ListOptions choose containers. A container must match every field that is not
// empty.
type ListOptions struct {
	All      bool     // also containers that do not run; Statuses imply All
	Labels   []string // NAME or NAME=VALUE; the container has all of them
	Name     string   // the exact name
	Statuses []string // the status is one of these; see State.Status
}

// A ContainerSummary is the entry of a container in a list.
type ContainerSummary struct {
	ID      string    // 64 hex digits
	Name    string    // without the engine's leading slash
	Image   string    // as given to create, or an id if the name now means another image; Podman: see Container
	Created time.Time // whole seconds
	Labels  map[string]string
	Status  string // see State.Status
}

// ListContainers lists containers in the order of the engine: newest first.
func (c *Client) ListContainers(ctx context.Context, o ListOptions) ([]ContainerSummary, error) {
	r := newRequest(opList, "")
	r.most = maxList
	// Statuses are filtered here, because Podman has other statuses and refuses
	// a list with unknown ones.
	r.query.flag("all", o.All || len(o.Statuses) > 0)
	filters := map[string][]string{}
	if len(o.Labels) > 0 {
		filters["label"] = o.Labels
	}
	if o.Name != "" {
		// Docker matches the regexp against "/name", Podman against "name".
		filters["name"] = []string{"^/?" + regexp.QuoteMeta(o.Name) + "$"}
	}
	r.query.filters(filters)
	answer := containerList{statuses: o.Statuses, list: []ContainerSummary{}}
	if err := c.do(ctx, r, &answer); err != nil {
		return nil, err
	}
	return answer.list, nil
}

// maxListed bounds the containers of a list: each takes far more memory than its shortest text.
const maxListed = 32 << 10

// A containerList is the answer to a list, decoded container by container.
type containerList struct {
	statuses []string // see ListOptions
	list     []ContainerSummary
}

func (l *containerList) decode(d *json.Decoder) error {
	switch begin, err := d.Token(); {
	case err != nil:
		return err
	case begin == nil: // null
		return nil
	case begin != json.Delim('['):
		return &json.UnmarshalTypeError{Value: fmt.Sprintf("%T", begin), Type: reflect.TypeFor[[]ContainerSummary]()}
	}
	for n := 0; d.More(); n++ {
		if n == maxListed {
			return &garbledError{err: fmt.Errorf("its answer has more than %d containers", maxListed)}
		}
		var a struct {
			ID      string `json:"Id"`
			Names   []string
			Image   string
			Created int64 // seconds since 1970
			Labels  map[string]string
			State   string
		}
		if err := d.Decode(&a); err != nil {
			return err
		}
		status := statusOfDocker(a.State)
		if len(l.statuses) > 0 && !slices.Contains(l.statuses, status) {
			continue
		}
		l.list = append(l.list, ContainerSummary{
			ID: a.ID, Name: ownName(a.Names), Image: a.Image,
			Created: time.Unix(a.Created, 0).UTC(), Labels: a.Labels, Status: status,
		})
	}
	_, err := d.Token()
	return err
}

// ownName returns the name of the container itself. Legacy links add names such
// as /other/alias.
func ownName(names []string) string {
	for _, name := range names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}
