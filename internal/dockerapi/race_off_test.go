//go:build !race

package dockerapi

const raceEnabled = false
