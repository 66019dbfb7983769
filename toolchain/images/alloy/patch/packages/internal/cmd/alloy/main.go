// alloy is the official command line and runtime with the components that
// ship logs, and nothing else.
package main

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/grafana/alloy/internal/alloycli"
	"github.com/grafana/alloy/internal/build"
)

func main() {
	prometheus.MustRegister(build.NewCollector("alloy")) // alloy_build_info
	if err := alloycli.Command().Execute(); err != nil {
		os.Exit(1)
	}
}
