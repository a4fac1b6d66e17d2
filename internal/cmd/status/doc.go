// Package status holds what a daemon says about itself: to `docker-dispatch ps`, on its page, in its metrics and on SIGUSR1. It
// has plain data only. Begin with [Status]. live.Phase says how far a job is, event.Status how it ended.
//
// internal/cmd/show.go fills in the jobs and the counters, internal/amqpsrc/state.go the broker's side, and
// cmd/docker-dispatch/status.go puts them together. cmd/docker-dispatch/web and cmd/docker-dispatch/client show it.
package status
