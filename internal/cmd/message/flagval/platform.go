package flagval

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// platform matches the three parts. A version may follow the operating system: windows(10.0.17763).
var platform = regexp.MustCompile(`^([A-Za-z0-9_-]+)(\([A-Za-z0-9_.-]*\))?(/[A-Za-z0-9_.-]+)?(/[A-Za-z0-9_.-]+)?$`)

// ParsePlatform refuses a text that is not a --platform: OS[/ARCHITECTURE[/VARIANT]], or an architecture alone. An empty
// text is the engine's own platform. The engine fills in missing parts, and knows which names mean the same.
func ParsePlatform(s string) error {
	if s == "" {
		return nil
	}
	const longest = 255
	var found []string
	if len(s) <= longest {
		found = platform.FindStringSubmatch(s)
	}
	if found == nil {
		return fmt.Errorf(`expected a platform such as "linux/arm64/v8", got %s`, Quote(s))
	}
	if found[3] == "" && !slices.Contains(platformNames(), strings.ToLower(found[1])) {
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
