// Package secrets gives containers the secrets of a folder. A message has their names only. The values are read when a
// container or an exec is made, and go to the engine alone: no log, event, result, error, label or dead letter has them.
package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Label is the label of a container that names its secret variables, a line each.
const Label = "docker-dispatch.secrets"

// A Folder has a file for each secret.
type Folder struct {
	Path     string // "": there are no secrets
	Withheld string // a file that is no secret even in the folder: it holds the broker's password; may be empty
}

// Max bounds the value of a secret variable, in bytes: Linux gives a program no longer one.
const Max = 100 << 10

// mounted is where a container has the files of its secrets.
const mounted = "/run/secrets/"

// unreadable says why a secret cannot be had.
func unreadable(name string, err error) error {
	why := fmt.Sprintf("because it cannot be read: %v", err)
	if errors.Is(err, fs.ErrNotExist) {
		why = "because the folder of --secrets has no such file"
	}
	return denied(name, why)
}

func denied(name, why string) error {
	return &policy.DeniedError{Err: fmt.Errorf("the secret %s", flagval.Quote(name)), Why: why}
}

// file returns the path of a secret.
func (f Folder) file(name string) (string, error) {
	if f.Path == "" {
		return "", denied(name, "because the daemon has no secrets (--secrets)")
	}
	file := filepath.Join(f.Path, name)
	info, err := os.Stat(file)
	if err != nil {
		return "", unreadable(name, errors.Unwrap(err))
	}
	if !info.Mode().IsRegular() {
		return "", unreadable(name, errors.New("it is no file"))
	}
	if own, err := os.Stat(f.Withheld); err == nil && os.SameFile(info, own) {
		return "", denied(name, "because it is the broker's password, which no message gets")
	}
	return file, nil
}

// Variables returns variables with the values of secrets in place of their names.
func (f Folder) Variables(env []string) ([]string, error) {
	list := message.SecretVariables(env)
	if len(list) == 0 {
		return env, nil
	}
	env = slices.Clone(env)
	for _, v := range list {
		file, err := f.file(v.Secret)
		if err != nil {
			return nil, err
		}
		value, err := read(file)
		if err != nil {
			return nil, unreadable(v.Secret, err)
		}
		env[v.At] = v.Name + "=" + value
	}
	return env, nil
}

// read returns the text of a file, without a line's end at its end.
func read(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", errors.Unwrap(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, Max+1))
	switch {
	case err != nil:
		return "", errors.Unwrap(err)
	case len(text) > Max:
		return "", fmt.Errorf("it has more than %d bytes", Max)
	case bytes.IndexByte(text, 0) >= 0:
		return "", errors.New("it holds a NUL byte, which no variable can")
	case !utf8.Valid(text):
		return "", errors.New("it is not UTF-8, which the engine's API demands; use Secret, for a file")
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// Fill puts secrets into the create request of a container: the values of variables, and the files of that name.
func (f Folder) Fill(c *dockerapi.ContainerConfig, files []string) (err error) {
	var names []string
	for _, v := range message.SecretVariables(c.Env) {
		names = append(names, v.Name)
	}
	c.Labels[Label] = strings.Join(names, "\n")
	if c.Env, err = f.Variables(c.Env); err != nil {
		return err
	}
	for _, name := range files {
		file, err := f.file(name)
		if err != nil {
			return err
		}
		c.HostConfig.Mounts = append(slices.Clip(c.HostConfig.Mounts), dockerapi.Mount{Type: "bind", Source: file, Target: mounted + name, ReadOnly: true})
	}
	return nil
}

// hidden is in place of a secret's value in what inspect shows.
const hidden = "(secret)"

// Hide returns what inspect says of a container without the values of its secrets.
func Hide(raw json.RawMessage, labels map[string]string) (json.RawMessage, error) {
	names := strings.Split(labels[Label], "\n")
	if names[0] == "" {
		return raw, nil
	}
	var whole, config map[string]json.RawMessage
	var env []string
	if err := errors.Join(json.Unmarshal(raw, &whole), json.Unmarshal(whole["Config"], &config), json.Unmarshal(config["Env"], &env)); err != nil {
		return nil, fmt.Errorf("the container has secrets, and what the engine says of it cannot be read: %w", err)
	}
	for i, e := range env {
		if name, _, _ := strings.Cut(e, "="); slices.Contains(names, name) {
			env[i] = name + "=" + hidden
		}
	}
	var err [3]error
	config["Env"], err[0] = json.Marshal(env)
	whole["Config"], err[1] = json.Marshal(config)
	raw, err[2] = json.Marshal(whole)
	return raw, errors.Join(err[:]...)
}
