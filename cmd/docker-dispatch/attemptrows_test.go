package main

import (
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// victims is how many containers the attempts are for that no message of the queue made.
const victims = 7

// cannot is how an engine says that it has not all rights itself, as in a container.
const cannot = "unable to apply caps"

// allAttempts are the table, with each command on a container that no message made, by each way to name it. These words stand
// for what the siege has: VICTIM0 is the name of a container, ID0 its id, PART8OF0 the first 8 digits of that; VOLUME a
// volume that is the folder SOCKETDIR of the host; HOSTID the id of the network host.
func allAttempts() []attempt {
	all := optionAttempts
	on := func(verb, ref, rest, sees, podman string) {
		all = append(all, attempt{asks: fmt.Sprintf(`{"Dockercmd":%q,"Container":%q%s}`, verb, ref, rest), sees: sees, podman: podman})
	}
	for i, ref := range []string{"VICTIM0", "ID1", "PART12OF2"} {
		on("inspect", ref, ``, `"SECRET=env-SERIAL"`, same)
		on("logs", ref, ``, "said-SERIAL", same)
		on("exec", ref, `,"Cmd":["env"]`, "SECRET=env-SERIAL", same)

		// The daemon does the commands on one container in their order, except an exec.
		ref = []string{"VICTIM3", "ID4", "PART12OF5"}[i]
		id := fmt.Sprintf("ID%d ", i+3)
		on("pause", ref, ``, id+"pause", same)
		on("unpause", ref, ``, id+"unpause", same)
		on("kill", ref, `,"Options":{"Signal":"CONT"}`, id+"kill", same)
		on("rename", ref, fmt.Sprintf(`,"NewName":"attempt-SERIAL-taken-%d"`, i), id+"rename", same)
	}
	for _, n := range []int{8, 9, 16, 32, 63} {
		on("inspect", fmt.Sprintf("PART%dOF0", n), ``, `"SECRET=env-SERIAL"`, same)
		on("logs", fmt.Sprintf("PART%dOF1", n), ``, "said-SERIAL", same)
	}
	on("exec", "VICTIM1", `,"Cmd":["id"],"Options":{"User":"0"}`, "uid=0", same)
	on("exec", "VICTIM2", `,"Cmd":["true"],"Options":{"Privileged":true}`, "exit 0", same)
	all[len(all)-1].but = cannot
	on("restart", "ID6", `,"Options":{"Time":0}`, "ID6 restart", same)
	on("stop", "ID6", `,"Options":{"Time":0}`, "ID6 die", same)
	on("wait", "ID6", ``, "exit 137", same)
	on("start", "ID6", ``, "ID6 start", same)
	on("kill", "ID6", ``, "ID6 kill", same)
	on("rm", "ID6", `,"Options":{"Force":true,"Volumes":true}`, "ID6 destroy", "ID6 remove")
	return all
}

// optionAttempts are what run and create ask for, and commands that are special.
var optionAttempts = []attempt{
	// Rights.
	{asks: `"Privileged":true`, sees: `"Privileged":true`, podman: same},
	{asks: `"\u0050rivileged":true`, sees: `"Privileged":true`, podman: same},
	{asks: `"Privileged":true`, script: "grep CapEff /proc/self/status", sees: "CapEff:\t000001ff", but: cannot, podman: same},
	{asks: `"privileged":true`, but: `unknown key "privileged"`, podman: same},
	{asks: `"Privileged":"true"`, but: "Options.Privileged: expected true or false"},
	{asks: `"Privileged":false,"Privileged":true`, but: `"Privileged"`},
	{asks: `"CapAdd":"ALL"`, sees: `"CapAdd":["ALL"]`},
	{asks: `"CapAdd":"all"`, sees: `"CapAdd":["ALL"]`},
	{asks: `"CapAdd":["SYS_ADMIN"]`, sees: "CAP_SYS_ADMIN", podman: `"CapAdd":["SYS_ADMIN"]`},
	{asks: `"CapAdd":"CAP_SYS_PTRACE"`, sees: "CAP_SYS_PTRACE", podman: `"CapAdd":["SYS_PTRACE"]`},
	{asks: `"CapAdd":"cap_Net_Admin"`, sees: "CAP_NET_ADMIN", podman: `"CapAdd":["NET_ADMIN"]`},
	{asks: `"CapAdd":" sys_module "`, sees: "CAP_SYS_MODULE"},
	{asks: `"CapDrop":"ALL","CapAdd":["CHOWN","DAC_READ_SEARCH"]`, sees: "CAP_DAC_READ_SEARCH"},
	{asks: `"CapAdd":"SYS_ADMIN"`, script: "mount -t tmpfs none /tmp 2>&1; grep CapEff /proc/self/status", sees: "a82425fb"},
	{asks: `"SecurityOpt":"seccomp=unconfined"`, sees: "seccomp=unconfined", podman: same},
	{asks: `"SecurityOpt":"seccomp:unconfined"`, sees: "seccomp:unconfined"},
	{asks: `"SecurityOpt":"apparmor=unconfined"`, sees: "apparmor=unconfined"},
	{asks: `"SecurityOpt":"apparmor:unconfined"`, sees: "apparmor:unconfined"},
	{asks: `"SecurityOpt":"label=disable"`, sees: "label=disable", podman: same},
	{asks: `"SecurityOpt":"label:disable"`, sees: "label:disable"},
	{asks: `"SecurityOpt":"label=type:spc_t"`, sees: "label=type:spc_t"},
	{asks: `"SecurityOpt":["no-new-privileges","seccomp=unconfined"]`, sees: "seccomp=unconfined", podman: same},
	{asks: `"SecurityOpt":"seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"`, sees: "SCMP_ACT_ALLOW"},
	{asks: `"SecurityOpt":"systempaths=unconfined"`, sees: `"MaskedPaths":[],"ReadonlyPaths":[]`},
	{asks: `"SecurityOpt":"no-new-privileges=false"`, sees: "no-new-privileges=false"},
	{asks: `"SecurityOpt":"no-new-privileges:false"`, sees: "no-new-privileges:false"},
	{asks: `"SecurityOpt":"unmask=ALL"`, but: "invalid --security-opt"},
	{asks: `"SecurityOpt":"proc-opts=hidepid=0"`, but: "invalid --security-opt"},
	{asks: `"SecurityOpt":"writable-cgroups=true"`, but: "invalid --security-opt"},
	{asks: `"SecurityOpt":"seccomp=/etc/passwd"`, but: "the profile's JSON text", podman: same},
	{asks: `"SecurityOpt":"seccomp=unconfined"`, script: "grep Seccomp: /proc/self/status", sees: "Seccomp:\t0", podman: same},
	{asks: `"SecurityOpt":"systempaths=unconfined"`, script: `grep " /proc/sys " /proc/mounts || echo not masked`, sees: "not masked"},
	{asks: `"Device":"/dev/kmsg"`, sees: `"PathOnHost":"/dev/kmsg"`},
	{asks: `"Device":["/dev/null","/dev/kmsg:/dev/x:r"]`, sees: `"PathOnHost":"/dev/kmsg"`},
	{asks: `"Device":"/dev"`, sees: `"PathOnHost":"/dev"`},
	{asks: `"Device":"//dev/../dev/kmsg"`, sees: `"PathOnHost":"/dev/kmsg"`},
	{asks: `"Device":"/proc/self/root/dev/kmsg"`, sees: `"PathOnHost":"/proc/self/root/dev/kmsg"`},
	{asks: `"Device":"/dev/zero:/dev/host"`, script: "ls -l /dev/host", sees: "crw", podman: same},
	{asks: `"Device":"dev/kmsg"`, but: "expected an absolute path", podman: same},
	{asks: `"Device":"vendor.com/class=all"`, sees: `"DeviceIDs":["vendor.com/class=all"]`},
	{asks: `"DeviceCgroupRule":"c *:* rwm"`, sees: `"DeviceCgroupRules":["c *:* rwm"]`},
	{asks: `"DeviceCgroupRule":["c 1:3 r","b 8:* rwm"]`, sees: `"b 8:* rwm"`},
	{asks: `"DeviceCgroupRule":"a *:* rwm"`, sees: `"a *:* rwm"`},
	{asks: `"Gpus":"all"`, sees: `"Count":-1`},
	{asks: `"Gpus":1`, sees: `"Count":1`},
	{asks: `"Gpus":"\"device=0,1\""`, sees: `"DeviceIDs":["0","1"]`},
	{asks: `"Gpus":"driver=nvidia,capabilities=utility"`, sees: `"Driver":"nvidia"`},
	{asks: `"Sysctl":"net.ipv4.ip_forward=1"`, sees: `"net.ipv4.ip_forward":"1"`},
	{asks: `"Sysctl":["kernel.shmmax=1","net.core.somaxconn=9"]`, sees: `"kernel.shmmax":"1"`},
	{asks: `"Sysctl":{"fs.mqueue.msg_max":"9"}`, sees: `"fs.mqueue.msg_max":"9"`},
	{asks: `"Sysctl":"kernel.msgmax=4711"`, script: "cat /proc/sys/kernel/msgmax", sees: "4711", podman: same},
	{asks: `"Sysctl":"kernel.core_pattern=|/x"`, but: "is not one that a container has of its own", podman: same},
	{asks: `"Runtime":"runc"`, sees: `"Runtime":"runc"`},
	{asks: `"Runtime":"io.containerd.runc.v2"`, sees: `"Runtime":"io.containerd.runc.v2"`},
	{asks: `"Runtime":"other"`, but: "unknown"},
	{asks: `"CgroupParent":"/"`, sees: `"CgroupParent":"/"`},
	{asks: `"CgroupParent":"/system.slice"`, sees: `"CgroupParent":"/system.slice"`},
	{asks: `"Annotation":"run.oci.keep_original_groups=1"`, sees: `"run.oci.keep_original_groups":"1"`, but: "needs API"},
	{asks: `"GroupAdd":["33","keep-groups"]`, sees: `"keep-groups"`},
	{asks: `"Env":"HOME"`, sees: `"Env":["HOME"`},
	{asks: `"Env":["A=b","*"]`, sees: `"*"`},

	// What uses up the host.
	{asks: `"OomKillDisable":true`, sees: `"OomKillDisable":true`},
	{asks: `"OomScoreAdj":-1000`, sees: `"OomScoreAdj":-1000`, podman: same},
	{asks: `"OomScoreAdj":"-1"`, sees: `"OomScoreAdj":-1`},
	{asks: `"Memory":"64m","MemorySwap":-1`, sees: `"MemorySwap":-1`},
	{asks: `"Memory":"64m","MemorySwap":"-1"`, sees: `"MemorySwap":-1`},
	{asks: `"Ulimit":"rtprio=99"`, sees: `"Name":"rtprio","Hard":99`},
	{asks: `"Ulimit":["nofile=9","rtprio=1:99"]`, sees: `"Name":"rtprio","Hard":99`},
	{asks: `"Ulimit":"nice=40"`, sees: `"Name":"nice","Hard":40`},
	{asks: `"Restart":"always"`, sees: `"Name":"always"`, podman: same},
	{asks: `"Restart":"unless-stopped"`, sees: `"Name":"unless-stopped"`, podman: same},
	{asks: `"Restart":"on-failure"`, sees: `"Name":"on-failure"`, podman: same},
	{asks: `"Restart":"on-failure:0"`, sees: `"Name":"on-failure"`},
	{asks: `"Restart":"on-failure:101"`, sees: `"MaximumRetryCount":101`, podman: same},
	{asks: `"Restart":"on-failure:-1"`, but: "maximum retry count cannot be negative"},
	{asks: `"Restart":"Always"`, but: `expected "no", "always"`, podman: same},
	{asks: `"StopTimeout":-1`, sees: `"StopTimeout":-1`},
	{asks: `"StopTimeout":"3601"`, sees: `"StopTimeout":3601`, podman: same},
	{asks: `"StopTimeout":2147483647`, sees: `"StopTimeout":2147483647`},
	{asks: `"HealthCmd":"true","HealthInterval":"1ms"`, sees: `"Interval":1000000`},
	{asks: `"HealthCmd":"true","HealthInterval":"0.999999s"`, sees: `"Interval":999999000`},
	{asks: `"HealthCmd":"true","HealthStartInterval":"1ms"`, sees: `"StartInterval":1000000`, but: "needs API"},
	{asks: `"Publish":"127.0.0.1:2000-2100:2000-2100"`, sees: `"2100/tcp"`},
	{asks: `"LogDriver":"json-file","LogOpt":"max-file=1001"`, sees: `"max-file":"1001"`},
	{asks: `"LogDriver":"json-file","LogOpt":["max-size=1m","max-file=99999"]`, sees: `"max-file":"99999"`},
	{asks: `"LogDriver":"local","LogOpt":{"mode":"non-blocking","max-buffer-size":"65m"}`, sees: `"max-buffer-size":"65m"`},
	{asks: `"LogDriver":"json-file","LogOpt":["mode=non-blocking","max-buffer-size=100000000k"]`, sees: `"max-buffer-size":"100000000k"`},
	{asks: `"LogDriver":"local","LogOpt":["mode=non-blocking","max-buffer-size=8192p"]`, sees: `"max-buffer-size":"8192p"`},
	{asks: `"LogDriver":"json-file","LogOpt":"tag={{.ID}}"`, sees: `"tag":"{{.ID}}"`},
	{asks: `"LogDriver":"json-file","LogOpt":"labels-regex=(a{1000}){9}"`, sees: `"labels-regex"`},
	{asks: `"LogDriver":"json-file","LogOpt":["env-regex=.*"]`, sees: `"env-regex"`},

	// Labels that other tools act on.
	{asks: `"Label":"com.docker.compose.project=x"`, sees: `"com.docker.compose.project":"x"`, podman: same},
	{asks: `"Label":["a=b","io.kubernetes.pod.name=x"]`, sees: `"io.kubernetes.pod.name":"x"`, podman: same},
	{asks: `"Label":{"org.dockerproject.x":""}`, sees: `"org.dockerproject.x":""`, podman: same},
	{asks: `"Label":"io.containers.autoupdate=registry"`, sees: `"io.containers.autoupdate":"registry"`, podman: same},
	{asks: `"Label":"PODMAN_SYSTEMD_UNIT=x.service"`, sees: `"PODMAN_SYSTEMD_UNIT":"x.service"`, podman: same},
	{asks: `"Label":"io.podman.annotations.seccomp=unconfined"`, sees: `"io.podman.annotations.seccomp"`, podman: same},
	{asks: `"Mount":"type=volume,src=labelled-SERIAL,dst=/v,volume-label=com.docker.compose.project=x"`, sees: `"Labels":{"com.docker.compose.project":"x"}`},
	{asks: `"Label":"docker-dispatch.queue=other"`, but: "docker-dispatch.", podman: same},
	{asks: `"Label":{"docker-dispatch.job":"other"}`, but: "docker-dispatch.", podman: same},

	// Paths of the host.
	{asks: `"Volume":"/:/h"`, sees: `"Binds":["/:/h"]`, podman: "/h"},
	{asks: `"Volume":"/etc:/h:ro"`, sees: `"Binds":["/etc:/h:ro"]`, podman: "/h"},
	{asks: `"Volume":"/etc/:/h"`, sees: `"Binds":["/etc/:/h"]`},
	{asks: `"Volume":"//etc:/h"`, sees: `"Binds":["//etc:/h"]`},
	{asks: `"Volume":"/etc/../:/h"`, sees: `"Binds":["/etc/../:/h"]`},
	{asks: `"Volume":"/etc/./../etc:/h"`, sees: `"Binds":["/etc/./../etc:/h"]`},
	{asks: `"Volume":"/proc/self/root:/h"`, sees: `"Binds":["/proc/self/root:/h"]`, podman: "/h"},
	{asks: `"Volume":"/proc/1/root/etc:/h"`, sees: `"Binds":["/proc/1/root/etc:/h"]`},
	{asks: `"Volume":"/etc/passwd:/p"`, sees: `"Binds":["/etc/passwd:/p"]`},
	{asks: `"Volume":"/dev:/h"`, sees: `"Binds":["/dev:/h"]`},
	{asks: `"Volume":"/sys/fs/cgroup:/h:rw"`, sees: `"Binds":["/sys/fs/cgroup:/h:rw"]`},
	{asks: `"Volume":"/etc:/h:rprivate"`, sees: `"Binds":["/etc:/h:rprivate"]`},
	{asks: `"Volume":"/etc:/h:z"`, sees: `"Binds":["/etc:/h:z"]`},
	{asks: `"Volume":"SOCKET:/s"`, sees: `"Binds":["SOCKET:/s"]`},
	{asks: `"Volume":["/anonymous","named-SERIAL:/v","/etc:/h"]`, sees: `"/etc:/h"`, podman: "/h"},
	{asks: `"Volume":"SOCKETDIR:/h"`, script: "ls /h", sees: "SOCKETNAME", podman: same},
	{asks: `"Volume":"SOCKETDIR/../:/h"`, script: "ls /h/*", sees: "SOCKETNAME", podman: same},
	{asks: `"Volume":"../etc:/h"`, but: "expected an absolute path of the host", podman: same},
	{asks: `"Volume":"etc/passwd:/h"`, but: "volume name"},
	{asks: `"Volume":" /etc:/h"`, but: "volume name"},
	{asks: `"Mount":"type=volume,src=/etc,dst=/h"`, but: "volume name"},
	{asks: `"Volume":"~/x:/h"`, but: "expected an absolute path of the host", podman: same},
	{asks: `"Volume":"named-SERIAL:/v:O,upperdir=/etc"`, but: "invalid mode"},
	{asks: `"Volume":"named-SERIAL:/v:idmap"`, but: "invalid mode"},
	{asks: `"Volume":{"/etc":"/h"}`, but: "Options.Volume", podman: same},
	{asks: `"Mount":"type=bind,src=/etc,dst=/h"`, sees: `"Type":"bind","Source":"/etc"`},
	{asks: `"Mount":"type=BIND,source=/,target=/h,readonly"`, sees: `"Type":"bind","Source":"/"`},
	{asks: `"Mount":"TYPE=bind,SRC=/etc,Destination=/h,ro=true"`, sees: `"Type":"bind","Source":"/etc"`},
	{asks: `"Mount":"type=bind,src=/etc/../etc/,dst=/h"`, sees: `"Type":"bind","Source":"/etc/../etc/"`},
	{asks: `"Mount":"type=bind,src=/proc/self/root,dst=/h"`, sees: `"Type":"bind","Source":"/proc/self/root"`},
	{asks: `"Mount":"type=bind,src=/etc,dst=/h,bind-propagation=rslave"`, sees: `"Type":"bind","Source":"/etc"`},
	{asks: `"Mount":"type=bind,src=/etc,dst=/h,bind-nonrecursive"`, sees: `"Type":"bind","Source":"/etc"`},
	{asks: `"Mount":["type=tmpfs,dst=/t","type=bind,src=/etc,dst=/h"]`, sees: `"Type":"bind","Source":"/etc"`, podman: "/h"},
	{asks: `"Mount":"type=bind,src=SOCKETDIR,dst=/h"`, script: "ls /h", sees: "SOCKETNAME", podman: same},
	{asks: `"Mount":"type=volume,dst=/h,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=SOCKETDIR"`, script: "ls /h", sees: "SOCKETNAME"},
	{asks: `"Mount":"type=volume,src=made-SERIAL,dst=/h,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=SOCKETDIR"`, script: "ls /h", sees: "SOCKETNAME"},
	{asks: `"Mount":"type=bind,src=./etc,dst=/h"`, but: "expected an absolute path of the host", podman: same},
	{asks: `"Mount":"type=volume,\"src=v,volume-opt=device=/\",dst=/h"`, but: "invalid"},
	{asks: `"Mount":"type=volume,src=comma-SERIAL,\"dst=/h,volume-opt=device=/\""`, sees: `"Target":"/h,volume-opt=device=/"`},
	{asks: `"Mount":"type=cluster,src=/etc,dst=/h"`, but: "mount type unknown"},
	{asks: `"Mount":"type=npipe,src=/etc,dst=/h"`, but: "mount type unknown"},
	{asks: `"Mount":"type=devpts,src=/etc,dst=/h"`, but: "mount type unknown"},
	{asks: `"Mount":"type=ramfs,src=/etc,dst=/h"`, but: "mount type unknown"},
	{asks: `"Mount":"type=glob,src=/etc,dst=/h"`, but: "mount type unknown"},
	{asks: `"Mount":"type=volume,src=v-SERIAL,dst=/h,bind-propagation=shared"`, but: "a field of type=bind is there", podman: same},
	{asks: `"Mount":{"type":"bind","src":"/etc","dst":"/h"}`, but: "Options.Mount", podman: same},

	// Volumes that are folders of the host, and those of other containers.
	{asks: `"Volume":"VOLUME:/h"`, script: "ls /h", sees: "SOCKETNAME", podman: same},
	{asks: `"Volume":"VOLUME:/h:ro"`, sees: `"VOLUME:/h:ro"`},
	{asks: `"Volume":["other-SERIAL:/o","VOLUME:/h"]`, sees: `"VOLUME:/h"`},
	{asks: `"VolumeDriver":"local","Volume":"VOLUME:/h:nocopy"`, sees: `"VOLUME:/h:nocopy"`},
	{asks: `"Mount":"type=volume,src=VOLUME,dst=/h"`, sees: `"Source":"VOLUME"`},
	{asks: `"Mount":["source=VOLUME,target=/h,readonly"]`, sees: `"Source":"VOLUME"`},
	{asks: `"VolumesFrom":"VICTIM0"`, script: "ls /data", sees: "SOCKETNAME", podman: same},
	{asks: `"VolumesFrom":["VICTIM0:ro"]`, sees: `"VolumesFrom":["VICTIM0:ro"]`},
	{asks: `"VolumesFrom":"ID0"`, sees: `"VolumesFrom":["ID0"]`},
	{asks: `"VolumesFrom":"PART12OF0:rw"`, sees: `"VolumesFrom":["PART12OF0:rw"]`},
	{asks: `"VolumeDriver":"nfs"`, sees: `"VolumeDriver":"nfs"`}, // with a new volume the engine looks for the driver for 15 s
	{asks: `"Tmpfs":"/t:dev"`, sees: `"/t":"dev"`},
	{asks: `"Tmpfs":["/a","/t:size=1m,mpol=local"]`, sees: `"size=1m,mpol=local"`},
	{asks: `"Tmpfs":"/t:bind"`, sees: `"/t":"bind"`},
	{asks: `"Tmpfs":"/t:rshared"`, sees: `"/t":"rshared"`},

	// Namespaces.
	{asks: `"Network":"host"`, sees: `"NetworkMode":"host"`, podman: same},
	{asks: `"Network":"name=host"`, sees: `"NetworkMode":"host"`, podman: same},
	{asks: `"Network":["host"]`, sees: `"NetworkMode":"host"`},
	{asks: `"Network":"host"`, script: "readlink /proc/self/ns/net", sees: "HOSTNET", podman: same},
	{asks: `"Network":"HOSTID"`, sees: `"NetworkMode":"HOSTID"`},
	{asks: `"Network":"HOSTID12"`, sees: `"NetworkMode":"HOSTID12"`},
	{asks: `"Network":["name=HOSTID7"]`, sees: `"NetworkMode":"HOSTID7"`},
	{asks: `"Network":"container:VICTIM0"`, sees: `"NetworkMode":"container:ID0"`},
	{asks: `"Network":"container:ID0"`, sees: `"NetworkMode":"container:ID0"`},
	{asks: `"Network":"container:PART12OF0"`, sees: `"NetworkMode":"container:ID0"`},
	{asks: `"Network":["name=container:PART8OF0"]`, sees: `"NetworkMode":"container:`},
	{asks: `"Network":"container:VICTIM1"`, script: "readlink /proc/self/ns/net", sees: "net:[", podman: same},
	{asks: `"Network":"slirp4netns"`, sees: `"NetworkMode":"slirp4netns"`, podman: same},
	{asks: `"Network":["name=pasta"]`, sees: `"NetworkMode":"pasta"`},
	{asks: `"Network":"ns:/proc/1/ns/net"`, script: "true", but: "network ns:/proc/1/ns/net not found"},
	{asks: `"Network":"name=bridge,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.ip_forward=1"`, sees: "endpoint.sysctls"},
	{asks: `"Ipc":"host"`, sees: `"IpcMode":"host"`},
	{asks: `"Ipc":"host"`, script: "readlink /proc/self/ns/ipc", sees: "HOSTIPC", podman: same},
	{asks: `"Ipc":"container:VICTIM0"`, sees: `"IpcMode":"container:ID0"`},
	{asks: `"Ipc":"container:PART12OF0"`, sees: `"IpcMode":"container:`},
	{asks: `"Ipc":"HOST"`, but: `expected "none"`, podman: same},
	{asks: `"Ipc":"ns:/proc/1/ns/ipc"`, but: `expected "none"`, podman: same},
	{asks: `"Pid":"host"`, sees: `"PidMode":"host"`, podman: same},
	{asks: `"Pid":"host"`, script: "readlink /proc/self/ns/pid", sees: "HOSTPID", podman: same},
	{asks: `"Pid":"container:VICTIM0"`, sees: `"PidMode":"container:ID0"`},
	{asks: `"Pid":"container:ID0"`, sees: `"PidMode":"container:ID0"`},
	{asks: `"Pid":"container:PART12OF0"`, script: "ps", sees: "sleep 1000", podman: same},
	{asks: `"Pid":"private"`, but: `expected "host"`, podman: same},
	{asks: `"Uts":"host"`, sees: `"UTSMode":"host"`, podman: same},
	{asks: `"Uts":"host"`, script: "readlink /proc/self/ns/uts", sees: "HOSTUTS", podman: same},
	{asks: `"Userns":"host"`, sees: `"UsernsMode":"host"`},
	{asks: `"Userns":"keep-id"`, but: `expected "host"`, podman: same},
	{asks: `"Userns":"auto"`, but: `expected "host"`, podman: same},
	{asks: `"Cgroupns":"host"`, sees: `"CgroupnsMode":"host"`},
	{asks: `"Link":"VICTIM0"`, sees: "VICTIM0"},
	{asks: `"Link":["VICTIM0:db"]`, sees: `/db"`},
	{asks: `"Link":"ID0:db"`, sees: "/db"},

	// Ports of the host.
	{asks: `"Publish":"8080:80"`, sees: `"HostPort":"8080"`},
	{asks: `"Publish":"80"`, sees: `"HostIp":"","HostPort":""`},
	{asks: `"Publish":"0.0.0.0:8080:80"`, sees: `"HostIp":"0.0.0.0"`},
	{asks: `"Publish":"0.0.0.0::80"`, sees: `"HostIp":"0.0.0.0"`},
	{asks: `"Publish":"[::]:8080:80"`, sees: `"HostIp":"::"`},
	{asks: `"Publish":"192.0.2.1:53:53/udp"`, sees: `"HostIp":"192.0.2.1"`},
	{asks: `"Publish":"published=8080,target=80"`, sees: `"HostPort":"8080"`},
	{asks: `"Publish":"::ffff:192.0.2.1:80:80"`, sees: "192.0.2.1"},
	{asks: `"Publish":"127.0.0.1:1-65535:80"`, sees: `"HostPort":"1-65535"`},
	{asks: `"Publish":"8000-8010:80"`, sees: `"HostPort":"8000-8010"`},
	{asks: `"Publish":["127.0.0.1:1:1","2:2"]`, sees: `"HostPort":"2"`},
	{asks: `"PublishAll":true`, sees: `"PublishAllPorts":true`},

	// Logs that go elsewhere.
	{asks: `"LogDriver":"syslog"`, sees: `"Type":"syslog"`},
	{asks: `"LogDriver":"syslog","LogOpt":"syslog-address=udp://192.0.2.1:514"`, sees: `"syslog-address":"udp://192.0.2.1:514"`},
	{asks: `"LogDriver":"gelf","LogOpt":{"gelf-address":"udp://192.0.2.1:1"}`, sees: `"Type":"gelf"`},
	{asks: `"LogDriver":"fluentd","LogOpt":["fluentd-address=unix:///run/x"]`, sees: `"Type":"fluentd"`},
	{asks: `"LogDriver":"awslogs","LogOpt":["awslogs-group=x","awslogs-endpoint=http://192.0.2.1"]`, sees: `"Type":"awslogs"`},
	{asks: `"LogOpt":"max-size=1m"`, sees: `"max-size":"1m"`},
	{asks: `"LogOpt":{"path":"/etc/cron.d/x"}`, but: "unknown log opt 'path'"},
	{asks: `"LogDriver":"json-file","LogOpt":"path=/x"`, but: "unknown log opt 'path'"},

	// Containers of other queues.
	{asks: `{"Dockercmd":"stop","Job":"job-SERIAL"}`, but: "does not run here", podman: same, open: event.ReasonNoSuchContainer},
	{asks: `{"Dockercmd":"exec","Job":"job-SERIAL","Cmd":["env"]}`, but: "does not run here", podman: same, open: event.ReasonNoSuchContainer},
	{asks: `{"Dockercmd":"remove","Job":"job-SERIAL","Options":{"Force":true}}`, but: "does not run here", podman: same, open: event.ReasonNoSuchContainer},
	{asks: `{"Dockercmd":"inspect","Container":"/VICTIM0"}`, but: "is not a container's name", podman: same},
	{asks: `{"Dockercmd":"inspect","Container":"VICTIM0/../VICTIM1"}`, but: "is not a container's name", podman: same},
	{asks: `{"Dockercmd":"logs","Container":"VICTIM0?follow=1"}`, but: "is not a container's name", podman: same},
	{asks: `{"Dockercmd":"remove","Container":""}`, but: "expected a container's name", podman: same},
	{asks: `{"Dockercmd":"STOP","Container":"VICTIM0"}`, but: "STOP", podman: same},
	{asks: `{"Dockercmd":"rename","Container":"VICTIM0","NewName":"dispatch-000000000000"}`, but: "reserved", podman: same},
	{asks: `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"dispatch-SERIAL"}}`, but: "reserved", podman: same},
	{asks: `{"Dockercmd":"commit","Container":"VICTIM0"}`, but: "commit", podman: same},
	{asks: `{"Dockercmd":"cp","Container":"VICTIM0"}`, but: "cp", podman: same},
	{asks: `{"Dockercmd":"run","Image":"--privileged"}`, but: "invalid reference format", open: event.ReasonBadRequest},
	{asks: `{"Dockercmd":"run","Image":"dir:/etc"}`, but: "invalid reference format", open: event.ReasonBadRequest},
	{asks: `{"Dockercmd":"run","Image":"busybox","HostConfig":{"Privileged":true}}`, but: `unknown key "HostConfig"`, podman: same},
	{asks: `{"Dockercmd":"run","Image":"busybox","Options":"--privileged"}`, but: "Options", podman: same},
}
