package flagval

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ParseGPUs reads one --gpus: a count, all, or fields such as driver=nvidia.
func ParseGPUs(s string) (dockerapi.DeviceRequest, error) {
	fields, err := csvFields(s)
	if err != nil {
		return dockerapi.DeviceRequest{}, err
	}
	r := dockerapi.DeviceRequest{Capabilities: [][]string{{"gpu"}}, Options: map[string]string{}}
	var seen []string
	for _, field := range fields {
		name, value, given := strings.Cut(field, "=")
		if !given {
			name, value = "count", field
		}
		if slices.Contains(seen, name) {
			return r, fmt.Errorf("the field %s is in %s twice", Quote(name), Quote(s))
		}
		seen = append(seen, name)
		switch name {
		case "driver":
			r.Driver = value
		case "count":
			r.Count, err = parseGPUCount(value)
		case "device":
			r.DeviceIDs = strings.Split(value, ",")
		case "capabilities":
			r.Capabilities = [][]string{append(strings.Split(value, ","), "gpu")}
		case "options":
			r.Options, err = parseGPUOptions(value)
		default:
			err = unknownField(name, s, []string{"driver", "count", "device", "capabilities", "options"})
		}
		if err != nil {
			return r, err
		}
	}
	switch {
	case r.DeviceIDs == nil && !slices.Contains(seen, "count"):
		r.Count = 1
	case r.DeviceIDs != nil && r.Count != 0:
		return r, errors.New(`expected a count or devices, got both in ` + Quote(s) + `; several devices need quotation marks of their own: "\"device=0,1\""`)
	}
	return r, nil
}

func parseGPUCount(s string) (int, error) {
	if s == "all" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf(`expected a number of GPUs, or "all", got %s`, Quote(s))
	}
	return n, nil
}

func parseGPUOptions(s string) (map[string]string, error) {
	fields, err := csvFields(s)
	if err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	options := make(map[string]string)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		options[name] = value
	}
	return options, nil
}
