// Package discovery finds no peers: a shipper stands alone.
package discovery

import (
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// DiscoverFn lists the addresses of peers.
type DiscoverFn func() ([]string, error)

// Options say how peers are to be found.
type Options struct {
	JoinPeers     []string
	DiscoverPeers string
	DefaultPort   int
	Logger        *slog.Logger
	Tracer        trace.TracerProvider
}

// NewPeerDiscoveryFn refuses options that name a peer, or a way to find one.
func NewPeerDiscoveryFn(opts Options) (DiscoverFn, error) {
	if len(opts.JoinPeers) > 0 || opts.DiscoverPeers != "" {
		return nil, errors.New("this build cannot join a cluster")
	}
	return nil, nil
}
