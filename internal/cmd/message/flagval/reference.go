package flagval

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The grammar of an image's name, as github.com/distribution/reference has it.
const (
	imagePath   = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	imageHost   = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
	imageDomain = `(?:` + imageHost + `(?:\.` + imageHost + `)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`
	imageTag    = `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
	imageDigest = `[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}`
)

var (
	imageReference = regexp.MustCompile(`^` + imageDomain + `/` + imagePath + `(?:/` + imagePath + `)*(?::` + imageTag + `)?(?:@` + imageDigest + `)?$`)
	imageID        = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// CheckImage refuses a text that is not the name of an image. Its errors have the docker CLI's words: the CLI checks the
// name itself too.
func CheckImage(s string) error {
	if imageID.MatchString(s) {
		return nil // an image's own id
	}
	domain, rest, ok := strings.Cut(s, "/")
	if !ok || !strings.ContainsAny(domain, ".:") && domain != "localhost" && strings.ToLower(domain) == domain {
		domain, rest = "docker.io", s
	}
	if domain == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	if name, _, _ := strings.Cut(rest, ":"); strings.ToLower(name) != name {
		return fmt.Errorf("invalid reference format: repository name (%s) must be lowercase", name)
	}
	if !imageReference.MatchString(domain + "/" + rest) {
		return errors.New("invalid reference format")
	}
	return nil
}

// FullName returns an image's name as docker shows it: the short name, with its tag or digest.
func FullName(image string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(image, "docker.io/"), "library/")
	if last := name[strings.LastIndexByte(name, '/')+1:]; !strings.ContainsAny(last, ":@") {
		name += ":latest"
	}
	return name
}
