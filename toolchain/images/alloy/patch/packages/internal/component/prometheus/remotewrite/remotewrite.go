// Package remotewrite has no component here.
package remotewrite

import "github.com/spf13/cobra"

// InstallTools adds no tools.
func InstallTools(*cobra.Command) {}
