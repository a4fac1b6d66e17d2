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

// ListOptions choose containers. What is empty does not matter; what is given
// must all hold.
type ListOptions struct {
	All      bool     // also those that do not run; Statuses imply it
	Labels   []string // NAME or NAME=VALUE; it has all of them
	Name     string   // it has exactly this name
	Statuses []string // its status is one of them; see State.Status
}

// ContainerSummary is what a list tells about a container.
type ContainerSummary struct {
	ID      string // 64 hex digits
	Name    string // without the engine's leading slash
	Image   string // as it was given to create, or an id where the name has moved on; Podman: see Container
	ImageID string
	Created time.Time // in whole seconds
	Labels  map[string]string
	Status  string // as State.Status
}

// ListContainers lists containers, the newest first.
//
// API: GET /containers/json.
func (c *Client) ListContainers(ctx context.Context, o ListOptions) ([]ContainerSummary, error) {
	r := &request{
		op:     opList,
		method: http.MethodGet, path: "/containers/json", query: url.Values{},
		want: []int{http.StatusOK}, limit: c.limits.read, most: maxList,
	}
	// Not the engine is asked for statuses: Podman has others, and refuses a
	// list of those that it does not know.
	flag(r.query, "all", o.All || len(o.Statuses) > 0)
	filters := map[string][]string{}
	if len(o.Labels) > 0 {
		filters["label"] = o.Labels
	}
	if o.Name != "" {
		// The engine searches for a regexp in "/name", Podman in "name".
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

// ownName picks the container's name among those that legacy links give it too,
// which look like /other/alias.
func ownName(names []string) string {
	for _, name := range names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}
