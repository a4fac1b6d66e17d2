package flagval

import "testing"

func TestParsePlatform(t *testing.T) {
	const (
		platform = `expected a platform such as "linux/arm64/v8", got `
		alone    = `expected an operating system, an architecture, or both, such as "linux/arm64", got `
	)
	testCheck(t, ParsePlatform, append(platformNames(),
		"", "linux/amd64", "linux/arm/v7", "LINUX/AMD64", "foo/bar", "linux/foo/bar", "linux/a.b", "windows(10.0.17763)/amd64", "windows(10.0)", "windows()/amd64",
	), []refused{
		{"foo", alone + `"foo"`},
		{"armv7", alone + `"armv7"`},
		{"foo(1.0)", alone + `"foo(1.0)"`},
		{"*", platform + `"*"`},
		{"linux/", platform + `"linux/"`},
		{"/amd64", platform + `"/amd64"`},
		{"linux//v7", platform + `"linux//v7"`},
		{"a/b/c/d", platform + `"a/b/c/d"`},
		{"linux/arm(1)", platform + `"linux/arm(1)"`},
		{"linux.x/amd64", platform + `"linux.x/amd64"`},
		{"windows(/amd64", platform + `"windows(/amd64"`},
		{"linux/amd64 ", platform + `"linux/amd64 "`},
	})
}
