package ui

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// variablePrefix begins the variable of each option: DOCKER_DISPATCH_SWEEP_AFTER is --sweep-after.
const variablePrefix = "DOCKER_DISPATCH_"

func variableOf(option string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// CommandLineOnly takes the variables from options that ask for an action, delete something, or are of one message.
func (o *Options) CommandLineOnly(names ...string) {
	for _, name := range names {
		o.variables[name] = []string{}
	}
}

// Variables replaces the variables of an option. The first that is set counts. A variable of docker's switches a boolean
// option on with any value.
func (o *Options) Variables(name string, variables ...string) { o.variables[name] = variables }

// VariablesOf returns the variables of an option.
func (o *Options) VariablesOf(name string) []string {
	if v, ok := o.variables[name]; ok {
		return v
	}
	return []string{variableOf(name)}
}

// FromEnvironment sets the options that the command line has not given. An empty variable counts as not set.
func (o *Options) FromEnvironment(getenv func(string) string) error {
	given := make(map[string]bool)
	o.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, f := range o.Flags() {
		if given[f.Name] || given[f.Short] {
			o.SetFrom(f.Name, "command line")
			continue
		}
		variables := o.VariablesOf(f.Name)
		i := slices.IndexFunc(variables, func(v string) bool { return getenv(v) != "" })
		if i < 0 {
			continue
		}
		value, to := getenv(variables[i]), o.Lookup(f.Name).Value
		if f.Bool && !strings.HasPrefix(variables[i], variablePrefix) {
			value = "true"
		}
		if err := to.Set(value); err != nil {
			return UsageError(fmt.Sprintf("%s %q: %s", variables[i], value, expected(to, err)), o.Hint())
		}
		o.SetFrom(f.Name, variables[i])
	}
	return nil
}

// SetFrom says where the value of a setting is from. The setting is an option, or an argument by its name in the help.
func (o *Options) SetFrom(name, from string) { o.from[name] = from }

// From returns where the value of a setting is from: the command line, a variable, or what SetFrom was told.
func (o *Options) From(name string) string {
	if from, ok := o.from[name]; ok {
		return from
	}
	return "default"
}

// Blame returns err with the variables in place of the options that they have set. The user did not type those options.
func (o *Options) Blame(err error) error {
	h, ok := errors.AsType[*Hinted](err)
	if !ok {
		return err
	}
	parts := strings.Split(h.message, "--")
	for i, part := range parts[1:] {
		after := strings.TrimLeft(part, "abcdefghijklmnopqrstuvwxyz-")
		name := strings.TrimSuffix(part, after)
		option := "--" + name
		if from := o.From(name); slices.Contains(o.VariablesOf(name), from) {
			option = from
		}
		parts[i+1] = option + after
	}
	return WithHint(strings.Join(parts, ""), h.hint, h.code)
}

// CheckVariables refuses a variable that is a mistyped one of an option in all: it would have no effect. It returns the other
// variables with our prefix. Kubernetes sets some for a service of our name, such as DOCKER_DISPATCH_PORT.
func CheckVariables(environ []string, all []*Options) (others []string, err error) {
	meant := map[string]string{"DOCKER_HOST": "DOCKER_HOST"} // the variable, by what may follow the prefix
	for _, o := range all {
		for _, f := range o.Flags() {
			for _, v := range slices.Backward(o.VariablesOf(f.Name)) {
				meant[strings.TrimPrefix(v, variablePrefix)] = v
				meant[strings.TrimPrefix(variableOf(f.Name), variablePrefix)] = v
			}
		}
	}
	names := slices.Sorted(maps.Keys(meant))
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		rest, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || value == "" || meant[rest] == name {
			continue
		}
		near := flagval.Nearest(rest, names)
		if near == "" {
			others = append(others, name)
			continue
		}
		return nil, UsageError(name+" is no option's variable", "use "+meant[near]+", or unset it; docker-dispatch help options has the rule")
	}
	return others, nil
}
