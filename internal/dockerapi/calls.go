package dockerapi

import "slices"

// The operations, as in Error.Op.
const (
	opCreate       = "create container"
	opStart        = "start container"
	opStop         = "stop container"
	opRestart      = "restart container"
	opKill         = "kill container"
	opPause        = "pause container"
	opUnpause      = "unpause container"
	opRemove       = "remove container"
	opRename       = "rename container"
	opInspect      = "inspect container"
	opList         = "list containers"
	opWait         = "wait for container"
	opAttach       = "attach to container"
	opCreateExec   = "create exec in container"
	opStartExec    = "start exec"
	opInspectExec  = "inspect exec"
	opLogs         = "read logs of container"
	opEvents       = "read events of"
	opConnect      = "connect container"
	opNetwork      = "inspect network"
	opPull         = "pull image"
	opInspectImage = "inspect image"
	opVolume       = "inspect volume"
	opInfo         = "read engine info"
)

// A Call is a kind of request that a [Client] makes.
type Call struct {
	op string // as in Error.Op

	// Route is the method and the path after the API version, with the placeholders {id} and {name}. It is also a pattern
	// of http.ServeMux, except that an image's {name} may hold slashes.
	Route string

	For string // the messages that need it
}

// Calls returns all calls that a [Client] can make, sorted by Route.
func Calls() []Call { return slices.Clone(calls[:]) }

// calls is the only place that has methods and paths: [newRequest] takes them from here. They are those of the Docker
// Engine API, v1.40 to v1.52 (https://docs.docker.com/reference/api/engine/).
var calls = [...]Call{
	{opRemove, "DELETE /containers/{id}", "remove, run with Remove, the sweep"},
	{"", "GET /_ping", "the same, if HEAD is refused; without a version"},
	{opList, "GET /containers/json", "commands by Job, run and create with a Name or redelivered, the sweep"},
	{opInspect, "GET /containers/{id}/json", "run, create, and every command on a container"},
	{opLogs, "GET /containers/{id}/logs", "logs, and output of a run that was missed"},
	{opEvents, "GET /events", "run: how containers end, who killed one, and whether a start can be repeated"},
	{opInspectExec, "GET /exec/{id}/json", "exec"},
	{opInspectImage, "GET /images/{name}/json", "pull, if its connection broke; {name} may hold slashes"},
	{opInfo, "GET /info", "--min-free: where the engine keeps its data"},
	{opNetwork, "GET /networks/{id}", "a Network that could be an id; of bridge for wait and adopted runs: whether the engine was restarted"},
	{opVolume, "GET /volumes/{name}", "run and create with a named volume"},
	{"", "HEAD /_ping", "the start, and each 15 seconds; without a version"},
	{opCreate, "POST /containers/create", "run, create"},
	{opAttach, "POST /containers/{id}/attach", "run with Attach; the connection is upgraded"},
	{opCreateExec, "POST /containers/{id}/exec", "exec"},
	{opKill, "POST /containers/{id}/kill", "kill, and a time limit"},
	{opPause, "POST /containers/{id}/pause", "pause"},
	{opRename, "POST /containers/{id}/rename", "rename, and run whose Name an ended job has"},
	{opRestart, "POST /containers/{id}/restart", "restart"},
	{opStart, "POST /containers/{id}/start", "run, start"},
	{opStop, "POST /containers/{id}/stop", "stop, and a time limit"},
	{opUnpause, "POST /containers/{id}/unpause", "unpause"},
	{opWait, "POST /containers/{id}/wait", "run, wait"},
	{opStartExec, "POST /exec/{id}/start", "exec; the connection is upgraded"},
	{opPull, "POST /images/create", "pull, and run or create without the image"},
	{opConnect, "POST /networks/{id}/connect", "run and create with several networks, before API 1.44"},
}

// route returns the Route of an operation; of a ping, whose op is "", that with GET.
func route(op string) string {
	return calls[slices.IndexFunc(calls[:], func(c Call) bool { return c.op == op })].Route
}
