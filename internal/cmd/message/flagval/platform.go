package flagval

import (
	"fmt"
	"slices"
	"strings"
)

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
