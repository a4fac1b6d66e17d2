package dockerapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Credentials are the registry logins that "docker login" has stored: in
// config.json, or in a credential helper that config.json names. For reads them
// on every call, so a new login takes effect at once.
type Credentials struct {
	path        string        // of config.json; "": no file
	helperLimit time.Duration // how long a credential helper may take
}

const (
	maxConfig = 1 << 20 // bytes of config.json and of a helper's answer

	// hubKey is the key of Docker Hub in config.json and helpers.
	hubKey = "https://index.docker.io/v1/"
)

// LoadCredentials finds config.json in $DOCKER_CONFIG, else in $HOME/.docker.
// An unusable file is an error. A missing file is not: registries are then
// asked anonymously, until the file exists.
func LoadCredentials(getenv func(string) string) (*Credentials, error) {
	c := &Credentials{helperLimit: 30 * time.Second}
	switch dir, home := getenv("DOCKER_CONFIG"), getenv("HOME"); {
	case dir != "":
		c.path = filepath.Join(dir, "config.json")
	case home != "":
		c.path = filepath.Join(home, ".docker", "config.json")
	}
	if _, err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// File returns the path of the file, or "" if there is no home for one.
func (c *Credentials) File() string { return c.path }

// For returns the [PullOptions.Auth] for the registry of an image, or "" if
// there are no credentials for the registry. If config.json names a credential
// helper for that registry, or for all, For runs the helper.
//
// Errors say what to do, and contain no secret. If ctx ends, For returns the bare error of ctx.
func (c *Credentials) For(ctx context.Context, ref string) (auth string, err error) {
	config, err := c.read()
	if err != nil {
		return "", err
	}
	key := credentialsKey(ref)
	var found registryAuth
	if name := config.helper(key); name != "" {
		found, err = c.ask(ctx, name, key)
	} else {
		found, err = c.stored(config, key)
	}
	if err != nil || found == (registryAuth{}) {
		return "", err
	}
	found.ServerAddress = key
	text, _ := json.Marshal(found) // strings cannot fail
	return base64.URLEncoding.EncodeToString(text), nil
}

// A registryAuth is an entry of auths in config.json and, without Auth, the content of X-Registry-Auth.
type registryAuth struct {
	Auth          string `json:"auth,omitempty"` // base64 of USER:PASSWORD
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
	ServerAddress string `json:"serveraddress,omitempty"`
}

// credentialsKey returns the key of an image's credentials: the registry's host
// and port. As in Docker, the first part of a reference is a host only if it
// looks like a host.
func credentialsKey(ref string) string {
	host, _, found := strings.Cut(ref, "/")
	looksLikeHost := strings.ContainsAny(host, ".:") || host == "localhost" || strings.ToLower(host) != host
	if !found || !looksLikeHost || host == "docker.io" || host == "index.docker.io" {
		return hubKey
	}
	return host
}

// A configFile is the part of config.json that this package reads.
type configFile struct {
	Auths       map[string]registryAuth `json:"auths"`
	CredHelpers map[string]string       `json:"credHelpers"`
	CredsStore  string                  `json:"credsStore"`
}

// read reads config.json. A missing file is an empty one.
func (c *Credentials) read() (*configFile, error) {
	config := &configFile{}
	if c.path == "" {
		return config, nil
	}
	file, err := os.Open(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return config, nil
	}
	var text []byte
	if err == nil {
		defer file.Close()
		text, err = io.ReadAll(io.LimitReader(file, maxConfig+1))
	}
	if err != nil {
		return nil, fmt.Errorf("registry credentials: %w; make the file readable to this user, or set DOCKER_CONFIG to another directory", err)
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("registry credentials: %s is larger than %d bytes; is it the docker CLI's file?", c.path, maxConfig)
	}
	// Do not quote the decoder's error: it may contain part of a secret.
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch err = json.Unmarshal(text, config); {
	case err == nil:
		return config, nil
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return nil, fmt.Errorf("registry credentials: %s: line %d: %s has a value of the wrong type", c.path, lineOf(text, wrongType.Offset), wrongType.Field)
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("registry credentials: %s is not valid JSON, see line %d; repair the file, or delete it and log in again", c.path, lineOf(text, syntax.Offset))
	}
	return nil, fmt.Errorf("registry credentials: %s is not a JSON object; repair the file, or delete it and log in again", c.path)
}

// lineOf returns the number of the line that contains offset.
func lineOf(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(offset, int64(len(text)))], []byte("\n"))
}

// helper returns the name of the credential helper for a registry, or "". The
// registry's entry in credHelpers wins over credsStore, even if the entry is empty.
func (f *configFile) helper(key string) string {
	if name, ok := lookUp(f.CredHelpers, key); ok {
		return name
	}
	return f.CredsStore
}

// lookUp finds the entry for a registry: under its key, else under another
// spelling of the key that older CLIs and people use.
func lookUp[V any](entries map[string]V, key string) (V, bool) {
	if v, ok := entries[key]; ok {
		return v, true
	}
	for _, stored := range slices.Sorted(maps.Keys(entries)) {
		if sameRegistry(stored, key) {
			return entries[stored], true
		}
	}
	var none V
	return none, false
}

func sameRegistry(stored, key string) bool {
	stored = strings.TrimPrefix(strings.TrimPrefix(stored, "https://"), "http://")
	host, path, _ := strings.Cut(stored, "/")
	if key == hubKey {
		// Below Hub's address the CLI also keeps other entries, such as v1/access-token.
		path = strings.Trim(path, "/")
		return (host == "index.docker.io" || host == "docker.io") && (path == "" || path == "v1" || path == "v2")
	}
	return host == key
}

// stored returns the credentials for a registry from config.json itself.
func (c *Credentials) stored(config *configFile, key string) (registryAuth, error) {
	auth, _ := lookUp(config.Auths, key)
	auth.ServerAddress = "" // For sets it
	if auth.Auth == "" {
		return auth, nil
	}
	text, err := base64.StdEncoding.DecodeString(auth.Auth)
	user, password, ok := strings.Cut(string(text), ":")
	if err != nil || !ok {
		return registryAuth{}, fmt.Errorf(`registry credentials: %s: the "auth" of %s is not base64 of USER:PASSWORD; log in again with: docker login %[2]s`, c.path, key)
	}
	auth.Auth, auth.Username, auth.Password = "", user, strings.Trim(password, "\x00")
	return auth, nil
}

// ask runs the credential helper of this name. No log or error shows the
// helper's output, because the output may contain a secret.
func (c *Credentials) ask(ctx context.Context, name, key string) (registryAuth, error) {
	program := "docker-credential-" + name
	fail := func(format string, args ...any) (registryAuth, error) {
		return registryAuth{}, fmt.Errorf("registry credentials: credential helper %s for %s: "+format, append([]any{program, key}, args...)...)
	}
	if strings.ContainsAny(name, `/\`) {
		return fail("that is not the name of a helper; see credsStore and credHelpers in %s", c.path)
	}
	limited, cancel := context.WithTimeout(ctx, c.helperLimit)
	defer cancel()
	stdout := &prefixWriter{max: maxConfig}
	cmd := exec.CommandContext(limited, program, "get")
	cmd.Stdin = strings.NewReader(key)
	cmd.Stdout = stdout
	cmd.WaitDelay = time.Second // in case a child of the helper holds stdout open
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return registryAuth{}, ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return fail("the program is not on PATH; install it, or remove it from %s", c.path)
	case limited.Err() != nil:
		return fail("no answer within %v; it may be waiting for input. Run %q by hand with the registry's name on its standard input", c.helperLimit, program+" get")
	case err != nil && strings.TrimSpace(string(stdout.bytes)) == "credentials not found in native keychain":
		return registryAuth{}, nil
	case err != nil:
		return fail("%v; to see why, run %q with the registry's name on its standard input", err, program+" get")
	}
	var answer struct{ Username, Secret string }
	if json.Unmarshal(stdout.bytes, &answer) != nil {
		return fail("its answer is not a JSON object with Username and Secret; is it a credential helper?")
	}
	if answer.Username == "<token>" {
		return registryAuth{IdentityToken: answer.Secret}, nil
	}
	return registryAuth{Username: answer.Username, Password: answer.Secret}, nil
}
