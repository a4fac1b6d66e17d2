package ui

import "runtime/debug"

// version is set by the linker for a release (scripts/build).
var version string

// VersionString returns the version that the linker set, else that of the module's build information, else "unknown".
func VersionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
