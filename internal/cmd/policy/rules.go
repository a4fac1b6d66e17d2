package policy

// A KeyDoc describes a key of a policy's file, for the manual.
type KeyDoc struct {
	Name string
	Help string // Markdown, one line
}

// Docs describes the keys of Allow and Deny, and those of Max.
func Docs() (ruled, limited []KeyDoc) {
	for _, l := range limits {
		limited = append(limited, KeyDoc{l.name, l.help})
	}
	return keys, limited
}

// keys are the kinds of things that messages ask for. Help says what their values are.
var keys = []KeyDoc{
	{"Command", "the command: `run`, `stop`, ..."},
	{"Image", "the image's full name, `docker.io/library/alpine:latest`, or with its digest in place of the tag; an id is `sha256:ID`"},
	{"User", "the user of run, create and exec; empty: the image's"},
	{"Env", "an environment variable's name"},
	{"Secret", "a secret's name"},
	{"Label", "a label's name"},
	{"ReadOnly", "`true` or `false`"},
	{"Host", "the name of the host, of several on the queue, that the message asks for"},
	{"Constraint", "a constraint, `KEY==VALUE` or `KEY!=VALUE`"},
	{"ReplyTo", "the queue of the reply_to"},
	{"Bind", "a path of the host: `PATH`, or `PATH:ro` for it and all below it, read-only"},
	{"Volume", "a volume's name; empty: a volume without a name. A volume with options of its own must be named here"},
	{"VolumeDriver", "the driver"},
	{"VolumesFrom", "`NAME[:ro]`"},
	{"Mount", "what is unusual of a mount, as the error shows it"},
	{"Tmpfs", "`PATH:OPTIONS`"},
	{"Network", "a network's name; `default` if none is asked for"},
	{"DriverOpt", "`NAME=VALUE` of a network's `driver-opt`"},
	{"Publish", "`ADDRESS:PORT` of the host, `0.0.0.0:8080`"},
	{"PublishAll", "`true`"},
	{"Link", "`NAME[:ALIAS]`"},
	{"Privileged", "`true`"},
	{"CapAdd", "a capability"},
	{"SecurityOpt", "the option"},
	{"Device", "the device's path on the host, or its CDI name"},
	{"Gpus", "`all`, or the GPU's id"},
	{"DeviceCgroupRule", "the rule"},
	{"Sysctl", "`NAME=VALUE`"},
	{"Annotation", "`NAME=VALUE`"},
	{"GroupAdd", "the group"},
	{"Runtime", "the runtime"},
	{"CgroupParent", "the cgroup"},
	{"Ipc", "the namespace"},
	{"Pid", "the namespace"},
	{"Uts", "the namespace"},
	{"Userns", "the namespace"},
	{"Cgroupns", "the namespace"},
	{"Restart", "`always`, `unless-stopped`, `on-failure`, `on-failure:N`"},
	{"OomKillDisable", "`true`"},
	{"OomScoreAdj", "the number"},
	{"MemorySwap", "the number of bytes"},
	{"Ulimit", "`NAME=HARD`"},
	{"StopTimeout", "the number of seconds"},
	{"HealthInterval", "the time"},
	{"HealthStartInterval", "the time"},
	{"LogDriver", "the driver"},
	{"LogOpt", "`NAME=VALUE`"},
}

func keyNames() (names []string) {
	for _, k := range keys {
		names = append(names, k.Name)
	}
	return names
}
