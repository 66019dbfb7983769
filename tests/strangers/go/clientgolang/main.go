// net/http with client_golang: a counter and a histogram, as its documentation shows.
package main

import (
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	requests = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests by status.",
	}, []string{"method", "path", "code"})
	durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Response times.", Buckets: prometheus.DefBuckets,
	}, []string{"method", "path"})
)

func counted(path string, answer func() int) {
	http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		status := answer()
		w.WriteHeader(status)
		requests.WithLabelValues(r.Method, path, strconv.Itoa(status)).Inc()
		durations.WithLabelValues(r.Method, path).Observe(time.Since(begun).Seconds())
	})
}

func main() {
	counted("/{$}", func() int {
		time.Sleep(120 * time.Millisecond)
		return http.StatusOK
	})
	counted("/fail", func() int { return http.StatusInternalServerError })
	http.Handle("/metrics", promhttp.Handler())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
