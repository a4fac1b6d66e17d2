//go:build !linux

package systemd

import "time"

// monotonic is for Linux only, as the manager.
func monotonic() time.Duration { return 0 }
