package cmd

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

// Secrets are files in Config.Secrets. A message has their names only. The values are read when a container or an exec is
// made, and go to the engine alone: no log, event, result, error, label or dead letter has them.

// maxSecret bounds the value of a secret variable, in bytes: Linux gives a program no longer one.
const maxSecret = 100 << 10

// secretsFolder is where a container has the files of its secrets.
const secretsFolder = "/run/secrets/"

// secretError says why a secret cannot be had.
func secretError(name string, err error) error {
	why := fmt.Sprintf("because it cannot be read: %v", err)
	if errors.Is(err, fs.ErrNotExist) {
		why = "because the folder of --secrets has no such file"
	}
	return deniedSecret(name, why)
}

func deniedSecret(name, why string) error {
	return &policy.DeniedError{Err: fmt.Errorf("the secret %s", flagval.Quote(name)), Why: why}
}

// secretFile returns the path of a secret.
func (t *task) secretFile(name string) (string, error) {
	if t.pool.Secrets == "" {
		return "", deniedSecret(name, "because the daemon has no secrets (--secrets)")
	}
	file := filepath.Join(t.pool.Secrets, name)
	info, err := os.Stat(file)
	if err != nil {
		return "", secretError(name, errors.Unwrap(err))
	}
	if !info.Mode().IsRegular() {
		return "", secretError(name, errors.New("it is no file"))
	}
	if own, err := os.Stat(t.pool.Withheld); err == nil && os.SameFile(info, own) {
		return "", deniedSecret(name, "because it is the broker's password, which no message gets")
	}
	return file, nil
}

// fillVariables returns variables with the values of secrets in place of their names.
func (t *task) fillVariables(env []string) ([]string, error) {
	list := message.SecretVariables(env)
	if len(list) == 0 {
		return env, nil
	}
	env = slices.Clone(env)
	for _, v := range list {
		file, err := t.secretFile(v.Secret)
		if err != nil {
			return nil, err
		}
		value, err := readSecret(file)
		if err != nil {
			return nil, secretError(v.Secret, err)
		}
		env[v.At] = v.Name + "=" + value
	}
	return env, nil
}

// readSecret returns the text of a file, without a line's end at its end.
func readSecret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", errors.Unwrap(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", errors.Unwrap(err)
	case len(text) > maxSecret:
		return "", fmt.Errorf("it has more than %d bytes", maxSecret)
	case bytes.IndexByte(text, 0) >= 0:
		return "", errors.New("it holds a NUL byte, which no variable can")
	case !utf8.Valid(text):
		return "", errors.New("it is not UTF-8, which the engine's API demands; use Secret, for a file")
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// fillSecrets puts secrets into the create request of a run: the values of variables, and files.
func (t *task) fillSecrets(c *dockerapi.ContainerConfig, r *message.Run) (err error) {
	var names []string
	for _, v := range message.SecretVariables(c.Env) {
		names = append(names, v.Name)
	}
	c.Labels[LabelSecrets] = strings.Join(names, "\n")
	if c.Env, err = t.fillVariables(c.Env); err != nil {
		return err
	}
	for _, name := range r.Secrets {
		file, err := t.secretFile(name)
		if err != nil {
			return err
		}
		c.HostConfig.Mounts = append(slices.Clip(c.HostConfig.Mounts), dockerapi.Mount{Type: "bind", Source: file, Target: secretsFolder + name, ReadOnly: true})
	}
	return nil
}

// hidden is in place of a secret's value in what inspect shows.
const hidden = "(secret)"

// hideSecrets returns what inspect says of a container without the values of its secrets.
func hideSecrets(raw json.RawMessage, labels map[string]string) (json.RawMessage, error) {
	names := strings.Split(labels[LabelSecrets], "\n")
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
