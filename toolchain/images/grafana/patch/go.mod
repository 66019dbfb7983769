// Stands in place of the original: the requirements of the module that uses it are complete. It makes a copy of the
// sources, in which the code can be generated that upstream does not commit.
module github.com/grafana/grafana

go 1.20
