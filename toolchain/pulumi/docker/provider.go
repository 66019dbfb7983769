// Package docker describes how the Terraform provider for Docker appears to
// Pulumi. The reference for every name in here is the published Python package
// pulumi_docker: the tool chain compares Schema with it after each build.
package docker

import (
	"runtime"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

const (
	// Package is the first part of every type token.
	Package = "docker"
	// Version is that of the official provider with the same resources.
	Version = "5.2.0"
	// Separator and length of names that Pulumi makes up for unnamed resources.
	nameSeparator = "-"
	nameLength    = 255
)

// Renamed are the Terraform types whose Pulumi name is not mechanical.
var renamed = map[string]string{
	"docker_image":  "RemoteImage", // Image is the native resource that builds one
	"docker_config": "ServiceConfig",
}

// sameName keeps a list's name as it is: the bridge would make it a plural.
func sameName(name string) *tfbridge.SchemaInfo {
	return &tfbridge.SchemaInfo{Name: name}
}

// resources that need more than a name.
var resources = map[string]tfbridge.ResourceInfo{
	"docker_container": {
		Fields: map[string]*tfbridge.SchemaInfo{
			"command":           sameName("command"),
			"networks_advanced": sameName("networksAdvanced"),
		},
		// Two containers cannot have one name or publish one port.
		DeleteBeforeReplace: true,
	},
	"docker_image": {
		// The name says what to pull: it is never made up.
		Fields: map[string]*tfbridge.SchemaInfo{"name": sameName("name")},
	},
}

// Provider gives the bridged provider.
func Provider() tfbridge.ProviderInfo {
	upstream := shimv2.NewProvider(provider.New(Version)())
	info := tfbridge.ProviderInfo{
		P:       upstream,
		Name:    Package,
		Version: Version,
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {
				MarkAsOptional: tfbridge.True(),
				Default:        &tfbridge.DefaultInfo{EnvVars: []string{"DOCKER_HOST"}, Value: localSocket()},
			},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		// In CheckConfig, which comes right before Configure.
		PreConfigureCallback: mustAnswer,
		Resources:            map[string]*tfbridge.ResourceInfo{},
		DataSources:          map[string]*tfbridge.DataSourceInfo{},
	}
	for name := range names(upstream.ResourcesMap()) {
		resource := resources[name]
		resource.Tok = tokens.Type(token(pascal(name)))
		info.Resources[name] = &resource
	}
	for name := range names(upstream.DataSourcesMap()) {
		info.DataSources[name] = &tfbridge.DataSourceInfo{Tok: tokens.ModuleMember(token("get" + pascal(name)))}
	}
	info.SetAutonaming(nameLength, nameSeparator)
	return info
}

func localSocket() string {
	if runtime.GOOS == "windows" {
		return "npipe:////./pipe/docker_engine"
	}
	return "unix:///var/run/docker.sock"
}

// token of a member: docker:index/remoteImage:RemoteImage.
func token(member string) string {
	module := strings.ToLower(member[:1]) + member[1:]
	return Package + ":index/" + module + ":" + member
}

// pascal gives the Pulumi name of a Terraform type: docker_registry_image is RegistryImage.
func pascal(terraform string) string {
	if name, ok := renamed[terraform]; ok {
		return name
	}
	var name strings.Builder
	for word := range strings.SplitSeq(strings.TrimPrefix(terraform, Package+"_"), "_") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}
