package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/docker/client"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const patience = 30 * time.Second

// mustAnswer refuses the engines that the native half of the official provider
// refuses when it is configured, at a preview, too: those that do not answer,
// but for ssh, which it does not ask, and any where the environment names
// certificates that are not there.
func mustAnswer(config resource.PropertyMap, _ shim.ResourceConfig) error {
	host, certificates := text(config, "host"), text(config, "certPath")
	if certificates == "" {
		certificates = os.Getenv(client.EnvOverrideCertPath)
	}
	options := []client.Opt{client.FromEnv}
	if certificates != "" {
		options = append(options, client.WithTLSClientConfig(
			filepath.Join(certificates, "ca.pem"),
			filepath.Join(certificates, "cert.pem"),
			filepath.Join(certificates, "key.pem"),
		))
	}
	ssh := strings.HasPrefix(host, "ssh://")
	if !ssh {
		options = append(options, client.WithHost(host), client.WithAPIVersionNegotiation())
	}
	engine, err := client.NewClientWithOpts(options...)
	if err != nil {
		return err
	}
	defer engine.Close() //nolint:errcheck // nothing was sent that matters
	if ssh {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := engine.Ping(ctx); err != nil {
		return fmt.Errorf("failed to connect to the docker daemon at %s: %w", host, err)
	}
	return nil
}

// text of an input; empty where it is none, or not known yet.
func text(config resource.PropertyMap, name resource.PropertyKey) string {
	value := config[name]
	for value.IsSecret() {
		value = value.SecretValue().Element
	}
	if !value.IsString() {
		return ""
	}
	return value.StringValue()
}
