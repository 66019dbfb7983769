// pulumi-resource-command has the one resource of Pulumi's command provider
// that this project uses, command.local.Command, with the behaviour that the
// SDK documents. The official provider's Go module cannot be had from a
// module proxy.
package main

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	"github.com/terraform-providers/terraform-provider-docker/toolchain/local"
)

// version is that of the official provider with the same resource.
const version = "1.2.1"

func main() {
	provider, err := infer.NewProviderBuilder().
		WithResources(infer.Resource(local.Command{})).
		Build()
	if err == nil {
		err = provider.Run(context.Background(), "command", version)
	}
	if err != nil {
		cmdutil.ExitError(err.Error())
	}
}
