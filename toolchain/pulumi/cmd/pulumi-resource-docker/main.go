// pulumi-resource-docker is the Terraform provider for Docker behind Pulumi's
// bridge, as the official provider of the same version is; the native resource
// docker.Image (build and push) is left out.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	"github.com/terraform-providers/terraform-provider-docker/toolchain/docker"
)

func main() {
	provider := docker.Provider()
	schema, err := docker.Schema(provider)
	if err != nil {
		cmdutil.ExitError(err.Error())
	}
	tfbridge.Main(docker.Package, docker.Version, provider, schema)
}
