package main

import (
	"strings"
	"testing"
)

// TestDescriptors: a daemon that could not open a connection for each container does not start, and says what is too small.
func TestDescriptors(t *testing.T) {
	for _, tt := range []struct {
		concurrency int
		most        int64
		ok          bool
	}{
		{16, 0, true},
		{16, 1024, true},
		{960, 1024, true},
		{961, 1024, false},
		{16, 50, false},
	} {
		err := enoughDescriptors(tt.concurrency, tt.most)
		if (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
		if err != nil && tt.most == 1024 && (!strings.Contains(err.Error(), "--concurrency 961") || !strings.Contains(err.Error(), "may open 1024 files")) {
			t.Error(err)
		}
	}
}
