package dockerapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
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
	ID      string // 64 hex digits
	Name    string // without the engine's leading slash
	Image   string // as given to create, or an id if the name now means another image; Podman: see Container
	ImageID string
	Created time.Time // whole seconds
	Labels  map[string]string
	Status  string // see State.Status
}

// ListContainers lists containers, newest first.
//
// API: GET /containers/json.
func (c *Client) ListContainers(ctx context.Context, o ListOptions) ([]ContainerSummary, error) {
	r := newRequest(opList, "")
	r.query = url.Values{}
	r.want = []int{http.StatusOK}
	r.limit = c.limits.read
	r.most = maxList
	// Statuses are filtered here, because Podman has other statuses and refuses
	// a list with unknown ones.
	flag(r.query, "all", o.All || len(o.Statuses) > 0)
	filters := map[string][]string{}
	if len(o.Labels) > 0 {
		filters["label"] = o.Labels
	}
	if o.Name != "" {
		// Docker matches the regexp against "/name", Podman against "name".
		filters["name"] = []string{"^/?" + regexp.QuoteMeta(o.Name) + "$"}
	}
	if len(filters) > 0 {
		text, err := json.Marshal(filters)
		if err != nil {
			return nil, r.refuse("%v", err)
		}
		r.query.Set("filters", string(text))
	}
	var answer []struct {
		ID      string `json:"Id"`
		Names   []string
		Image   string
		ImageID string
		Created int64 // seconds since 1970
		Labels  map[string]string
		State   string
	}
	if err := c.do(ctx, r, &answer); err != nil {
		return nil, err
	}
	list := make([]ContainerSummary, 0, len(answer))
	for _, a := range answer {
		status := statusOfDocker(a.State)
		if len(o.Statuses) > 0 && !slices.Contains(o.Statuses, status) {
			continue
		}
		list = append(list, ContainerSummary{
			ID: a.ID, Name: ownName(a.Names), Image: a.Image, ImageID: a.ImageID,
			Created: time.Unix(a.Created, 0).UTC(), Labels: a.Labels, Status: status,
		})
	}
	return list, nil
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
