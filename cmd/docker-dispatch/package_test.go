package main

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// packaged returns the Debian package of that version, as scripts/package makes it in a checkout, and the sums of its files.
func packaged(t *testing.T, checkout, version string, environ ...string) (deb string, sums []byte) {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command(filepath.Join(checkout, "scripts/package"), dir, "linux/"+runtime.GOARCH)
	c.Env = slices.Concat(os.Environ(), []string{"VERSION=" + version, "SOURCE_DATE_EPOCH=1700000000"}, environ)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("scripts/package: %v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatal(debs, err)
	}
	if sums, err = os.ReadFile(filepath.Join(dir, "SHA256SUMS")); err != nil {
		t.Fatal(err)
	}
	return debs[0], sums
}

// A host is a folder of this machine's Debian in a mount namespace of its own: the root of programs that share this
// machine's network and processes. All that is written goes to a layer over the folder.
type host struct {
	t    *testing.T
	pid  string // a process in the namespace
	dir  string // has root, and up, the layer
	bare string // the folder
}

// newHost makes a host with a folder /run/engine, which is one of this machine.
func newHost(t *testing.T, engine string) *host {
	t.Helper()
	services := exec.Command("../../scripts/services", "bare")
	services.Stderr = os.Stderr
	bare, err := services.Output()
	if err != nil {
		t.Fatalf("scripts/services bare: %v", err)
	}
	h := &host{t: t, dir: t.TempDir(), bare: strings.TrimSpace(string(bare))}
	keeper := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-ec", `
		exec 3<"$1" && flock -s -n 3 # scripts/services purge asks for this lock
		mount -t tmpfs tmpfs "$2" && cd "$2" && mkdir root up work
		mount -t overlay -o lowerdir="$1",upperdir=up,workdir=work overlay root
		mount -t proc proc root/proc && mount -t tmpfs tmpfs root/run
		mkdir root/run/engine && mount --bind "$3" root/run/engine
		echo && exec cat`, "keeper", h.bare, h.dir, engine)
	stdin, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	keeper.Stderr = os.Stderr
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // the namespace ends with its last process
		keeper.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatalf("no mount namespace: %v", err)
	}
	h.pid = fmt.Sprint(keeper.Process.Pid)
	return h
}

// command is a command on the host.
func (h *host) command(args ...string) *exec.Cmd {
	c := exec.Command("nsenter", append([]string{"--target", h.pid, "--mount", "chroot", h.dir + "/root"}, args...)...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	return c
}

// do runs a script on the host, and returns what it prints.
func (h *host) do(script string, stdin io.Reader) string {
	h.t.Helper()
	c := h.command("sh", "-ec", script)
	c.Stdin = stdin
	out, err := c.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// install installs a package, or another version of it.
func (h *host) install(deb string) {
	h.t.Helper()
	f, err := os.Open(deb)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	h.do("cat >/run/package.deb; dpkg --install /run/package.deb; rm /run/package.deb", f)
}

// written lists what was written, and is there.
func (h *host) written() []string {
	h.t.Helper()
	c := exec.Command("nsenter", "--target", h.pid, "--mount", "bash", "-ec",
		`cd "$1"/up && find . -mindepth 1 | while read -r f; do [[ -d $f && -d $2/$f ]] || echo "${f#.}"; done`, "written", h.dir, h.bare)
	out, err := c.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	return strings.Fields(string(out))
}

// TestPackage: the Debian package needs no more than it depends on. Its daemon works with the settings in the default
// file, as the unit's user. An upgrade leaves daemon and containers running; the new daemon adopts them, and each result
// comes once. After the purge nothing is left but the user, and containers run on.
func TestPackage(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	socket, ok := strings.CutPrefix(l.dockerHost, "unix://")
	if !ok {
		t.Skipf("%s is no socket", l.dockerHost)
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&0o060 != 0o060 {
		t.Skipf("%s is for its owner alone", socket) // Podman's
	}
	needs(t, os.Geteuid() == 0, "root, for a mount namespace")
	needs(t, runnable("dpkg-deb"), "dpkg-deb")
	h := newHost(t, filepath.Dir(socket))
	before := h.written()
	deb, sums := packaged(t, "../..", "v1.0.0")
	h.install(deb)

	// Not enabled: without a queue the next boot would have a failed unit.
	if got := h.do("docker-dispatch --version; find /etc/systemd/system -name 'docker-dispatch*'; getent group docker | cut -d: -f1", nil); got != "docker-dispatch v1.0.0\ndocker\n" {
		t.Errorf("installed: %s", got)
	}
	h.do(`cd /usr/share; bash -n bash-completion/completions/docker-dispatch; test -s bash-completion/completions/docker-dispatch
		test -s zsh/vendor-completions/_docker-dispatch; test -s fish/vendor_completions.d/docker-dispatch.fish; zcat man/man1/docker-dispatch.1.gz | grep -q '^[.]TH'`, nil)
	// Without settings it says what is missing, and the unit does not start it again.
	if c := l.serve(h, info); c.wait() != 2 || !strings.Contains(c.log(), "no queue given") {
		t.Errorf("without settings: exit %d, %s", c.code, c.log())
	}

	results := l.broker.Queue("quorum")
	broker, err := url.Parse(l.amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := broker.User.Password()
	broker.User = url.User(broker.User.Username())
	h.set(map[string]string{"DOCKER_DISPATCH_QUEUE": l.queue, "AMQP_URL": broker.String(), "DOCKER_HOST": "unix:///run/engine/" + filepath.Base(socket),
		"DOCKER_DISPATCH_RESULTS": results, "DOCKER_DISPATCH_DRAIN": "1s",
		"DOCKER_DISPATCH_AMQP_PASSWORD_FILE": "/run/credentials/docker-dispatch.service/" + strings.Split(unit(t, "LoadCredential")[0], ":")[0]})
	// As systemd does it for LoadCredential.
	h.do("dir=/run/credentials/docker-dispatch.service; mkdir -p $dir; cat >$dir/amqp-password; chown -R docker-dispatch $dir; chmod 500 $dir", strings.NewReader(password))

	volume := "package-" + l.serial
	run := func(id, script string) publication {
		return publication{id, fmt.Sprintf(`{"Dockercmd": "run", "Image": "busybox", "Cmd": ["sh", "-c", %q], "Options": {"Attach": ["STDOUT"], "Remove": true, "Volume": "%s:/v"}}`, script, volume)}
	}
	t.Cleanup(func() { l.engineCall("DELETE", "/volumes/"+volume+"?force=1") })
	p := l.serve(h, info)
	l.publish(run("short", "echo short"), run("long", "echo begun; until [ -e /v/go ]; do sleep 0.1; done; echo released"))
	p.awaitText("| begun\n")
	p.done(1)

	upgrade, _ := packaged(t, "../..", "v1.1.0-rc1")
	h.install(upgrade)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	p = l.serve(h, info)
	p.awaitLog("adopt")
	l.publish(run("go", "touch /v/go"), publication{"detached", `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["sleep", "600"]}`})
	p.awaitText("| released\n")
	p.done(3)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	var ended []string
	for _, d := range l.broker.Take(results) {
		ended = append(ended, d.MessageId)
	}
	if slices.Sort(ended); !slices.Equal(ended, []string{"detached/result", "go/result", "long/result", "short/result"}) {
		t.Errorf("results: %q", ended)
	}

	if got := h.do("docker-dispatch --version; grep -c ^DOCKER_DISPATCH_QUEUE= /etc/default/docker-dispatch", nil); got != "docker-dispatch v1.1.0-rc1\n1\n" {
		t.Errorf("upgraded: %s", got)
	}
	h.do(`cd /etc/systemd/system/multi-user.target.wants # as systemctl enable does it
		ln -s /usr/lib/systemd/system/docker-dispatch.service; ln -s /usr/lib/systemd/system/docker-dispatch@.service docker-dispatch@other.service`, nil)
	h.do("echo >/etc/default/docker-dispatch-other; mkdir -p /etc/credstore; echo >/etc/credstore/docker-dispatch.amqp-password; dpkg --remove docker-dispatch; test -e /etc/default/docker-dispatch; test -z \"$(find /etc/systemd/system -name 'docker-dispatch*')\"; dpkg --purge docker-dispatch", nil)
	kept := regexp.MustCompile(`^/etc/(passwd|group|g?shadow|subuid|subgid)-?$|^/etc/(credstore|[.]pwd[.]lock)$|^/var/lib/dpkg/|^/var/log/(dpkg|alternatives)\.log$|^/var/cache/`)
	for _, path := range h.written() {
		if !kept.MatchString(path) && !slices.Contains(before, path) {
			t.Errorf("left after the purge: %s", path)
		}
	}
	if c := l.containers(); len(c) != 1 || !bytes.Contains(l.engineCall("GET", "/containers/"+c[0].ID+"/json"), []byte(`"Running":true`)) {
		t.Errorf("containers: %+v", c)
	}

	// Another folder and another environment, the same bytes.
	copied := t.TempDir()
	tar := exec.Command("bash", "-ec", `set -o pipefail; cd ../..; git ls-files -coz --exclude-standard | tar -c --null -T - | tar -x -C "$1"`, "copy", copied)
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, again := packaged(t, copied, "v1.0.0", callers...); !bytes.Equal(again, sums) {
		t.Errorf("built in two folders and environments:\n%s\n%s", sums, again)
	}
}

// set gives settings of the default file another value. Each must be in the file as it was installed, commented out or not.
func (h *host) set(values map[string]string) {
	h.t.Helper()
	for name, value := range values {
		h.do(fmt.Sprintf("grep -q '^#*%[1]s=' /etc/default/docker-dispatch; sed -i 's|^#*%[1]s=.*|%[1]s=%[2]s|' /etc/default/docker-dispatch", name, value), nil)
	}
}

// serve starts the daemon on the host as the unit does: its variables, its command, its user without any right but the
// group of the engine's socket.
func (l *lab) serve(h *host, socket os.FileInfo) *process {
	l.t.Helper()
	var script strings.Builder
	script.WriteString("set -a\n")
	for _, e := range unit(l.t, "Environment") {
		fmt.Fprintln(&script, e)
	}
	for _, f := range unit(l.t, "EnvironmentFile") {
		fmt.Fprintf(&script, "if [ -e %[1]s ]; then . %[1]s; fi\n", strings.ReplaceAll(strings.TrimPrefix(f, "-"), "%i", ""))
	}
	user := unit(l.t, "User")[0]
	fmt.Fprintf(&script, "exec setpriv --reuid=%s --regid=%s --groups=%d --no-new-privs --inh-caps=-all --bounding-set=-all %s",
		user, user, socket.Sys().(*syscall.Stat_t).Gid, unit(l.t, "ExecStart")[0])
	return l.startExactly(h.command("sh", "-ec", script.String()))
}
