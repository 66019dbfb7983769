// Stands in place of the original, which asks for Go 1.26.7. It needs no
// requirements: those of the module that uses it are complete.
module github.com/grafana/alloy

go 1.26.5
