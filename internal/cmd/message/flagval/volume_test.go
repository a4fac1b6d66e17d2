package flagval

import "testing"

func TestParseVolume(t *testing.T) {
	const (
		relative = `expected an absolute path of the host or a volume's name; a message has no folder that a relative path could start from; got `
		expected = `expected "source:target", "source:target:options" or a path of the container, got `
	)
	type volume struct{ bind, anonymous string }
	parse := func(s string) (volume, error) {
		bind, anonymous, err := ParseVolume(s)
		return volume{bind, anonymous}, err
	}
	testParse(t, parse, []taken[volume]{
		{"/p", volume{"", "/p"}},
		{"p", volume{"", "p"}},
		{"name:/p", volume{"name:/p", ""}},
		{"name:/p:ro", volume{"name:/p:ro", ""}},
		{"/h:/p:ro,z", volume{"/h:/p:ro,z", ""}},
		{"/:/p", volume{"/:/p", ""}},
		{"/h:p", volume{"/h:p", ""}}, // the engine refuses it, and the next
		{"/h:/p:foo", volume{"/h:/p:foo", ""}},
	}, []refused{
		{"", expected + `""`},
		{"name:", expected + `"name:"`},
		{"name::ro", expected + `"name::ro"`},
		{"name:/p:", expected + `"name:/p:"`},
		{"/h:/p:ro:x", expected + `"/h:/p:ro:x"`},
		// The docker CLI makes an anonymous volume of these,
		{":/p", expected + `":/p"`},
		{":", expected + `":"`},
		{"a:/p", `"a" is too short; a volume's name has at least two characters`},
		{"./x", relative + `"./x"`},
		{"~", relative + `"~"`},
		// and looks for these in its own working directory.
		{"./x:/p", relative + `"./x:/p"`},
		{"../x:/p", relative + `"../x:/p"`},
		{".:/p", relative + `".:/p"`},
		{".x:/p", relative + `".x:/p"`},
		{"~/x:/p", relative + `"~/x:/p"`},
	})
}

func TestParseTmpfs(t *testing.T) {
	type tmpfs struct{ path, options string }
	parse := func(s string) (tmpfs, error) {
		path, options, err := ParseTmpfs(s)
		return tmpfs{path, options}, err
	}
	testParse(t, parse, []taken[tmpfs]{
		{"/x", tmpfs{"/x", ""}},
		{"/x:", tmpfs{"/x", ""}},
		{"/x:size=1m,mode=700", tmpfs{"/x", "size=1m,mode=700"}},
		{"/x:a:b", tmpfs{"/x", "a:b"}},
		{"x", tmpfs{"x", ""}}, // the engine refuses it
	}, []refused{
		{"", `expected a path of the container, got ""`},
		{":size=1m", `expected a path of the container, got ":size=1m"`},
	})
}
