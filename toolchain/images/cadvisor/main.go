// cadvisor is a daemon on the cAdvisor library with the command line of the
// official one, as far as a deployment uses it: /metrics and /healthz, without
// the web pages and the JSON API. The official daemon's own module, cmd, is
// published nowhere.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	_ "github.com/google/cadvisor/container/docker/install"
	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	_ "github.com/google/cadvisor/lib/container/containerd/install"
	_ "github.com/google/cadvisor/lib/container/systemd/install"
	_ "github.com/google/cadvisor/lib/fs/btrfs/install"
	_ "github.com/google/cadvisor/lib/fs/nfs/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/tmpfs/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"
	_ "github.com/google/cadvisor/lib/fs/zfs/install"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// The library registers the rest of the official flags itself: docker,
// docker_only, housekeeping_interval, max_housekeeping_interval and others.
var (
	address       = flag.String("listen_ip", "", "address to listen on, all by default")
	port          = flag.Int("port", 8080, "port to listen on")
	prefix        = flag.String("url_base_prefix", "", "put before all paths, for use behind a proxy")
	endpoint      = flag.String("prometheus_endpoint", "/metrics", "path of the metrics")
	storage       = flag.Duration("storage_duration", 2*time.Minute, "how long to keep samples in memory")
	allLabels     = flag.Bool("store_container_labels", true, "turn container labels and chosen environment variables into metric labels")
	labels        = flag.String("whitelisted_container_labels", "", "labels to keep when store_container_labels is off, comma separated")
	environment   = flag.String("env_metadata_whitelist", "", "environment variables to read, comma separated")
	rawPrefixes   = flag.String("raw_cgroup_prefix_whitelist", "", "cgroups to follow even if docker_only is on, comma separated")
	disabled      = offByDefault()
	enabled       container.MetricSet
	followedByAll = model.RequestOptions{IdType: model.TypeName, Count: 1, Recursive: true}
)

// offByDefault are the metrics that the official daemon leaves out unless it is
// told otherwise, because they cost much.
func offByDefault() container.MetricSet {
	return container.MetricSet{
		container.MemoryNumaMetrics:              {},
		container.NetworkTcpUsageMetrics:         {},
		container.NetworkUdpUsageMetrics:         {},
		container.NetworkAdvancedTcpUsageMetrics: {},
		container.ProcessSchedulerMetrics:        {},
		container.ProcessMetrics:                 {},
		container.HugetlbUsageMetrics:            {},
		container.ReferencedMemoryMetrics:        {},
		container.CPUTopologyMetrics:             {},
		container.ResctrlMetrics:                 {},
		container.CPUSetMetrics:                  {},
	}
}

func main() {
	klog.InitFlags(nil)
	flag.Var(&disabled, "disable_metrics", "metrics not to collect, comma separated")
	flag.Var(&enabled, "enable_metrics", "the only metrics to collect, comma separated: overrides disable_metrics")
	flag.Parse()
	if err := run(); err != nil {
		klog.Fatal(err)
	}
}

func run() error {
	included := container.AllMetrics.Difference(disabled)
	if len(enabled) > 0 {
		included = enabled
	}
	watcher, err := manager.New(
		memory.New(*storage, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfigFlags, included,
		// The library counts on one prefix at least, be it empty.
		strings.Split(*rawPrefixes, ","), list(*environment), "", 0,
	)
	if err != nil {
		return fmt.Errorf("reading this machine: %w", err)
	}
	if err := watcher.Start(); err != nil {
		return fmt.Errorf("watching containers: %w", err)
	}
	toLabels := metrics.DefaultContainerLabels
	if !*allLabels {
		toLabels = metrics.BaseContainerLabels(list(*labels))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics.NewPrometheusMachineCollector(watcher, included),
		metrics.NewPrometheusCollector(countKills(watcher), toLabels, included, clock.RealClock{}, followedByAll),
	)
	mux := http.NewServeMux()
	// One container that vanishes during a scrape must not cost the others' values.
	mux.Handle(*prefix+*endpoint, promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc(*prefix+"/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	server := &http.Server{
		Addr:              net.JoinHostPort(*address, strconv.Itoa(*port)),
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
	}
	return server.ListenAndServe()
}

func list(commaSeparated string) []string {
	if commaSeparated == "" {
		return nil
	}
	return strings.Split(commaSeparated, ",")
}
