package flagval

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func TestParseMount(t *testing.T) {
	bind := func(o dockerapi.BindOptions, readOnly bool) dockerapi.Mount {
		return dockerapi.Mount{Type: "bind", Source: "/h", Target: "/c", ReadOnly: readOnly, BindOptions: &o}
	}
	volume := func(o dockerapi.VolumeOptions) dockerapi.Mount {
		return dockerapi.Mount{Type: "volume", Source: "v", Target: "/c", VolumeOptions: &o}
	}
	tmpfs := func(o dockerapi.TmpfsOptions) dockerapi.Mount {
		return dockerapi.Mount{Type: "tmpfs", Target: "/c", TmpfsOptions: &o}
	}
	plain := dockerapi.Mount{Type: "bind", Source: "/h", Target: "/c"}
	readOnly := dockerapi.Mount{Type: "bind", Source: "/h", Target: "/c", ReadOnly: true}
	const relative = `expected an absolute path of the host or a volume's name; a message has no folder that a relative path could start from; got `
	testParse(t, ParseMount, []taken[dockerapi.Mount]{
		{"type=bind,src=/h,dst=/c", plain},
		{"type=bind,source=/h,target=/c,readonly", readOnly},
		{"TYPE=BIND,SRC=/h,destination=/c,RO=1", readOnly},
		{"type=bind,src=/h,dst=/c,ro,readonly=false", plain},
		{"type=bind,src=/a,src=/h,dst=/c", plain},
		{"\ntype=bind,src=/h,dst=/c\n", plain},
		{`type=bind,"src=/a,b",dst=/c`, dockerapi.Mount{Type: "bind", Source: "/a,b", Target: "/c"}},
		{"type=bind,src=/h=i,dst=/c", dockerapi.Mount{Type: "bind", Source: "/h=i", Target: "/c"}},
		{"type=bind,src=/h,dst=/c,consistency=CACHED", dockerapi.Mount{Type: "bind", Source: "/h", Target: "/c", Consistency: "cached"}},
		{"dst=/c", dockerapi.Mount{Type: "volume", Target: "/c"}},
		{"src=v,dst=/c,bind-recursive=enabled", dockerapi.Mount{Type: "volume", Source: "v", Target: "/c"}},
		{"type=cluster,src=g,dst=/c", dockerapi.Mount{Type: "cluster", Source: "g", Target: "/c"}},
		{"type=foo,dst=/c", dockerapi.Mount{Type: "foo", Target: "/c"}}, // the engine refuses it, and these two
		{"type=bind,src=h,dst=/c", dockerapi.Mount{Type: "bind", Source: "h", Target: "/c"}},
		{"type=bind,dst=/c", dockerapi.Mount{Type: "bind", Target: "/c"}},

		{"type=bind,src=/h,dst=/c,bind-propagation=RSHARED", bind(dockerapi.BindOptions{Propagation: "rshared"}, false)},
		{"type=bind,src=/h,dst=/c,bind-nonrecursive", bind(dockerapi.BindOptions{NonRecursive: true}, false)},
		{"type=bind,src=/h,dst=/c,bind-nonrecursive=true", bind(dockerapi.BindOptions{NonRecursive: true}, false)},
		{"type=bind,src=/h,dst=/c,bind-nonrecursive=false", bind(dockerapi.BindOptions{}, false)},
		{"type=bind,src=/h,dst=/c,bind-recursive=enabled", plain},
		{"type=bind,src=/h,dst=/c,bind-recursive=disabled", bind(dockerapi.BindOptions{NonRecursive: true}, false)},
		{"type=bind,src=/h,dst=/c,ro,bind-recursive=writable", bind(dockerapi.BindOptions{ReadOnlyNonRecursive: true}, true)},
		{"type=bind,src=/h,dst=/c,ro,bind-recursive=readonly,bind-propagation=rprivate",
			bind(dockerapi.BindOptions{ReadOnlyForceRecursive: true, Propagation: "rprivate"}, true)},

		{"src=v,dst=/c,volume-nocopy", volume(dockerapi.VolumeOptions{NoCopy: true})},
		{"src=v,dst=/c,volume-nocopy=0", volume(dockerapi.VolumeOptions{})},
		{"src=v,dst=/c,volume-subpath=a/b", volume(dockerapi.VolumeOptions{Subpath: "a/b"})},
		{"src=v,dst=/c,volume-label=a=b,volume-label=c=d=e,volume-label=f,volume-label==x",
			volume(dockerapi.VolumeOptions{Labels: map[string]string{"a": "b", "c": "d=e", "f": ""}})},
		{`src=v,dst=/c,volume-driver=local,Volume-Opt=type=NFS,"volume-opt=o=addr=10.0.0.9,rw"`,
			volume(dockerapi.VolumeOptions{DriverConfig: &dockerapi.VolumeDriver{Name: "local", Options: map[string]string{"type": "NFS", "o": "addr=10.0.0.9,rw"}}})},

		{"type=tmpfs,dst=/c,tmpfs-size=1m", tmpfs(dockerapi.TmpfsOptions{SizeBytes: 1 << 20})},
		{"type=tmpfs,dst=/c,tmpfs-mode=1777", tmpfs(dockerapi.TmpfsOptions{Mode: 0o1777})},
		{"type=tmpfs,dst=/c,tmpfs-mode=0700", tmpfs(dockerapi.TmpfsOptions{Mode: 0o700})},
		{"type=image,src=busybox,dst=/c", dockerapi.Mount{Type: "image", Source: "busybox", Target: "/c"}},
		{"type=image,src=busybox,dst=/c,image-subpath=etc",
			dockerapi.Mount{Type: "image", Source: "busybox", Target: "/c", ImageOptions: &dockerapi.ImageOptions{Subpath: "etc"}}},
	}, []refused{
		{"", `expected fields such as name=value, got an empty string`},
		{"v:/c", `expected name=value, got "v:/c" in "v:/c"`},
		{"type=volume,,dst=/c", `expected name=value, got "" in "type=volume,,dst=/c"`},
		{"dst=/c,bind-propagation", `expected name=value, got "bind-propagation" in "dst=/c,bind-propagation"`},
		{"dst=/c,readnly", `expected name=value, got "readnly" in "dst=/c,readnly"`},
		{"dst=/c,targett=/d", `unknown field "targett" in "dst=/c,targett=/d"; did you mean "target"?`},
		{"type=bind, src=/h,dst=/c", `unknown field " src" in "type=bind, src=/h,dst=/c"; did you mean "src"?`},
		{"type=,dst=/c", `the type is empty; got "type=,dst=/c"`},
		{"src=v", `the target is missing; got "src=v"`},
		{"src=v,dst=", `the target is missing; got "src=v,dst="`},
		{"dst=/c,ro=", `ro: expected true or false, got ""`},
		{"dst=/c,volume-nocopy=x", `volume-nocopy: expected true or false, got "x"`},
		{"type=bind,src=/h,dst=/c,bind-nonrecursive=x", `bind-nonrecursive: expected true or false, got "x"`},
		{"type=bind,src=/h,dst=/c,bind-recursive=ENABLED", `bind-recursive: expected "enabled", "disabled", "writable" or "readonly", got "ENABLED"`},
		{"type=bind,src=/h,dst=/c,bind-recursive=writable", `bind-recursive=writable needs readonly; got "type=bind,src=/h,dst=/c,bind-recursive=writable"`},
		{"type=bind,dst=/c,bind-recursive=readonly", `bind-recursive=readonly needs readonly; got "type=bind,dst=/c,bind-recursive=readonly"`},
		{"type=bind,dst=/c,ro,bind-recursive=readonly", `bind-recursive=readonly needs bind-propagation=rprivate; got "type=bind,dst=/c,ro,bind-recursive=readonly"`},
		{"type=tmpfs,dst=/c,tmpfs-size=-1", `tmpfs-size: expected a size of 0 or more, got "-1"`},
		{"type=tmpfs,dst=/c,tmpfs-mode=8", `tmpfs-mode: expected an octal number such as "1777", got "8"`},
		{"type=tmpfs,dst=/c,tmpfs-mode=0o700", `tmpfs-mode: expected an octal number such as "1777", got "0o700"`},
		{"dst=/c,bind-recursive=disabled", `a field of type=bind is there, and the type is "volume"; got "dst=/c,bind-recursive=disabled"`},
		{"type=tmpfs,dst=/c,volume-label=", `a field of type=volume is there, and the type is "tmpfs"; got "type=tmpfs,dst=/c,volume-label="`},
		{"dst=/c,tmpfs-size=1", `a field of type=tmpfs is there, and the type is "volume"; got "dst=/c,tmpfs-size=1"`},
		{"dst=/c,image-subpath=x", `a field of type=image is there, and the type is "volume"; got "dst=/c,image-subpath=x"`},
		{`dst=/a"b`, `expected fields separated by commas, got "dst=/a\"b": parse error on line 1, column 7: bare " in non-quoted-field`},
		// The docker CLI takes these for paths in its own working directory,
		{"type=bind,src=./h,dst=/c", relative + `"type=bind,src=./h,dst=/c"`},
		{"type=bind,src=..,dst=/c", relative + `"type=bind,src=..,dst=/c"`},
		{"type=bind,src=~/h,dst=/c", relative + `"type=bind,src=~/h,dst=/c"`},
		{"type=bind,src=.h,dst=/c", relative + `"type=bind,src=.h,dst=/c"`},
		// and overlooks a second line.
		{"type=bind,src=/h,dst=/c\nro", `expected fields separated by commas, got "type=bind,src=/h,dst=/c\nro": it has more than one line`},
	})
}

func FuzzParseMount(f *testing.F) {
	for _, s := range []string{
		"type=bind,src=/h,dst=/c,ro,bind-recursive=writable", "src=v,dst=/c,volume-opt=a=b,volume-label=c", `type=image,"src=a,b",dst=/c`,
		"type=tmpfs,dst=/c,tmpfs-size=1.5m,tmpfs-mode=700", "dst=/c,readonly=f,consistency=x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMount(s)
		if err != nil {
			return
		}
		if m.Type == "" || m.Target == "" {
			t.Fatalf("%q: %+v", s, m)
		}
		// The fields that were read say the same again behind themselves.
		one := strings.Trim(s, "\r\n")
		again, err := ParseMount(one + "," + one)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%q: %+v, twice %+v, %v", s, m, again, err)
		}
	})
}

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
