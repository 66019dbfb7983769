// Stands in place of the original: the requirements of the module that uses it are complete. Upstream does not commit its
// built pages, and without them its package ui does not compile.
module github.com/prometheus/alertmanager

go 1.25.0
