package dockerapi

import "slices"

// The operations, as in Error.Op.
const (
	opCreate      = "create container"
	opStart       = "start container"
	opStop        = "stop container"
	opRestart     = "restart container"
	opKill        = "kill container"
	opPause       = "pause container"
	opUnpause     = "unpause container"
	opRemove      = "remove container"
	opRename      = "rename container"
	opInspect     = "inspect container"
	opList        = "list containers"
	opWait        = "wait for container"
	opAttach      = "attach to container"
	opCreateExec  = "create exec in container"
	opStartExec   = "start exec"
	opInspectExec = "inspect exec"
	opLogs        = "read logs of container"
	opEvents      = "read events of"
	opConnect     = "connect container"
	opNetwork     = "inspect network"
	opPull        = "pull image"
	opVolume      = "inspect volume"
	opInfo        = "read engine info"
)

// A Call is a kind of request that a [Client] makes.
type Call struct {
	op string // as in Error.Op

	// Route is the method and the path after the API version, with the placeholders {id} and {name}. It is also a pattern
	// of http.ServeMux.
	Route string

	want  []int  // the success statuses
	doubt string // the unknown after a lost connection

	For string // the messages that need it
}

// Calls returns all calls that a [Client] can make, sorted by Route.
func Calls() []Call { return slices.Clone(calls[:]) }

// calls is the only place that has methods, paths and success statuses: [newRequest] takes them from here. They are
// those of the Docker Engine API, v1.40 to v1.52 (https://docs.docker.com/reference/api/engine/).
var calls = [...]Call{
	{opRemove, "DELETE /containers/{id}", []int{204}, "it may have been removed", "remove, run with Remove, the sweep"},
	{"", "GET /_ping", []int{200}, "", "the same, if HEAD is refused"},
	{opList, "GET /containers/json", []int{200}, "", "commands by Job, run and create with a Name or redelivered, the sweep"},
	{opInspect, "GET /containers/{id}/json", []int{200}, "", "run, create, and every command on a container"},
	{opLogs, "GET /containers/{id}/logs", []int{200}, "output may be missing", "logs, and output of a run that was missed"},
	{opEvents, "GET /events", []int{200}, "", "run: how containers end, who killed one, and whether a start can be repeated"},
	{opInspectExec, "GET /exec/{id}/json", []int{200}, "", "exec"},
	{opInfo, "GET /info", []int{200}, "", "--min-free: where the engine keeps its data; --host: which engine it is"},
	{opNetwork, "GET /networks/{id}", []int{200}, "",
		"a Network that could be an id; of bridge for wait and adopted runs: whether the engine was restarted"},
	{opVolume, "GET /volumes/{name}", []int{200}, "", "run and create with a named volume"},
	{"", "HEAD /_ping", []int{200}, "", "the start, and each 15 seconds; without a version unless DOCKER_API_VERSION is set"},
	{opCreate, "POST /containers/create", []int{201}, "it may have been created", "run, create"},
	{opAttach, "POST /containers/{id}/attach", []int{101, 200}, "output may be missing", "run with Attach; the connection is upgraded"},
	{opCreateExec, "POST /containers/{id}/exec", []int{201}, "the exec may have been created; the command has not been started", "exec"},
	{opKill, "POST /containers/{id}/kill", []int{204}, "the signal may have been sent", "kill, and a time limit"},
	{opPause, "POST /containers/{id}/pause", []int{204}, "it may have been paused", "pause"},
	{opRename, "POST /containers/{id}/rename", []int{204}, "it may have been renamed", "rename, and run whose Name an ended job has"},
	{opRestart, "POST /containers/{id}/restart", []int{204}, "it may have been restarted", "restart"},
	{opStart, "POST /containers/{id}/start", []int{204, 304}, "it may have been started", "run, start"},
	{opStop, "POST /containers/{id}/stop", []int{204, 304}, "it may have been stopped", "stop, and a time limit"},
	{opUnpause, "POST /containers/{id}/unpause", []int{204}, "it may have been unpaused", "unpause"},
	{opWait, "POST /containers/{id}/wait", []int{200}, "the container may or may not have exited, and its exit code is unknown", "run, wait"},
	{opStartExec, "POST /exec/{id}/start", []int{101, 200}, "it may run", "exec; the connection is upgraded"},
	{opPull, "POST /images/create", []int{200}, "the image may be incomplete", "pull, and run or create without the image"},
	{opConnect, "POST /networks/{id}/connect", []int{200}, "it may have been connected", "run and create with several networks, before API 1.44"},
}

// callOf returns the row of an operation; of a ping, whose op is "", that with GET.
func callOf(op string) *Call {
	return &calls[slices.IndexFunc(calls[:], func(c Call) bool { return c.op == op })]
}
