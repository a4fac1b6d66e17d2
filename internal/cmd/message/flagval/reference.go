package flagval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CheckImage refuses a text that is not the name of an image. Its errors have the docker CLI's words: the CLI checks the
// name itself too.
func CheckImage(s string) error {
	if len(s) == 64 && only(s, digits+"abcdef") {
		return nil // an image's own id
	}
	domain, rest := SplitImage(s)
	if name, _, _ := strings.Cut(rest, ":"); strings.ToLower(name) != name {
		return fmt.Errorf("invalid reference format: repository name (%s) must be lowercase", name)
	}
	if !isDomain(domain) || !isRepository(rest) {
		return errors.New("invalid reference format")
	}
	return nil
}

// SplitImage returns the registry of an image's name, and the rest: docker.io and library/alpine of alpine.
func SplitImage(name string) (domain, rest string) {
	domain, rest, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(domain, ".:") && domain != "localhost" && strings.ToLower(domain) == domain {
		domain, rest = "docker.io", name
	}
	if domain == "index.docker.io" {
		domain = "docker.io"
	}
	if domain == "docker.io" && !strings.Contains(rest, "/") && rest != "*" { // a policy's pattern can have a *
		rest = "library/" + rest
	}
	return domain, rest
}

// isDomain reports whether s is the first part of an image's name, HOST[:PORT], in the grammar of
// github.com/distribution/reference. isRepository and the others below are of that grammar too.
func isDomain(s string) bool {
	host, port, ported := s, "", false
	if at := strings.LastIndexByte(s, ':'); at > strings.IndexByte(s, ']') {
		host, port, ported = s[:at], s[at+1:], true
	}
	address, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		address, bracketed = strings.CutSuffix(address, "]")
		bracketed = bracketed && only(address, digits+"abcdefABCDEF:")
	}
	return (bracketed || isHost(host)) && (!ported || only(port, digits))
}

// isRepository reports whether s is the rest of an image's name: PATH[/PATH]...[:TAG][@DIGEST].
func isRepository(s string) bool {
	s, digest, digested := strings.Cut(s, "@")
	s, tag, tagged := strings.Cut(s, ":")
	for path := range strings.SplitSeq(s, "/") {
		if !isPath(path) {
			return false
		}
	}
	return (!tagged || isTag(tag)) && (!digested || isDigest(digest))
}

// isPath reports whether s is small letters and digits, between which one dot, one or two underscores, or hyphens may stand.
func isPath(s string) bool {
	if !framed(s, lower+digits, lower+digits+"._-", lower+digits) {
		return false
	}
	for _, between := range [...]string{"..", "._", "_.", ".-", "-.", "_-", "-_", "___"} {
		if strings.Contains(s, between) {
			return false
		}
	}
	return true
}

// isTag reports whether s is a tag. The name of a secret has the same form.
func isTag(s string) bool { return len(s) <= 128 && framed(s, word, word+".-", word+".-") }

// isDigest reports whether s is a digest, such as sha256:0123...
func isDigest(s string) bool {
	algorithm, hash, _ := strings.Cut(s, ":")
	for part := range strings.SplitSeq(strings.NewReplacer("-", ".", "_", ".", "+", ".").Replace(algorithm), ".") {
		if !framed(part, letters, alnum, alnum) {
			return false
		}
	}
	return len(hash) >= 32 && only(hash, digits+"abcdefABCDEF")
}

// FullName returns an image's name as docker shows it: the short name, with its tag or digest.
func FullName(image string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(image, "docker.io/"), "library/")
	if last := name[strings.LastIndexByte(name, '/')+1:]; !strings.ContainsAny(last, ":@") {
		name += ":latest"
	}
	return name
}

// ParsePlatform refuses a text that is not a --platform: OS[/ARCHITECTURE[/VARIANT]], or an architecture alone. An empty
// text is the engine's own platform. The engine fills in missing parts, and knows which names mean the same.
func ParsePlatform(s string) error {
	if s == "" {
		return nil
	}
	const longest = 255
	system, architecture, two := strings.Cut(s, "/")
	architecture, variant, three := strings.Cut(architecture, "/")
	system, version, versioned := strings.Cut(system, "(") // such as windows(10.0.17763)
	version, closed := strings.CutSuffix(version, ")")
	if len(s) > longest || !only(system, word+"-") || versioned != closed || strings.Trim(version, word+".-") != "" ||
		two && !only(architecture, word+".-") || three && !only(variant, word+".-") {
		return fmt.Errorf(`expected a platform such as "linux/arm64/v8", got %s`, Quote(s))
	}
	if !two && !slices.Contains(platformNames(), strings.ToLower(system)) {
		return fmt.Errorf(`expected an operating system, an architecture, or both, such as "linux/arm64", got %s`, Quote(s))
	}
	return nil
}

// platformNames returns the names that can stand alone: operating systems, and architectures with their aliases.
func platformNames() []string {
	return []string{
		"aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux",
		"macos", "nacl", "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",

		"386", "aarch64", "amd64", "amd64p32", "arm", "arm64", "arm64be", "armbe", "armel", "armhf", "i386",
		"loong64", "mips", "mips64", "mips64le", "mips64p32", "mips64p32le", "mipsle", "ppc", "ppc64",
		"ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm", "x86-64", "x86_64",
	}
}
