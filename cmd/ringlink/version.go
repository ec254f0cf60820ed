package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set at link time by make build (-X main.release=…).
var release = ""

// version names the release, or the commit that this was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "devel"
}

// versionCommand prints the version.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(s *session) error {
	_, err := fmt.Fprintf(s.out, "ringlink %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
