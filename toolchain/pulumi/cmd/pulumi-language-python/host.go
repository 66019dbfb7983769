package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
)

// errorAlreadyShown is the executor's exit code after it has told the user
// what is wrong: the engine must stop without a message of its own.
const errorAlreadyShown = 32

// host answers the engine's questions about Python programs.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engine   string
	tracing  string
	executor string
}

func (h *host) Handshake(
	_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	h.engine = req.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (h *host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version.Version}, nil
}

func (h *host) About(ctx context.Context, req *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	python, err := interpreterOf(req.GetInfo(), os.Environ())
	if err != nil {
		return nil, err
	}
	var release string
	err = python.ask(ctx, &release, "-c", "import json, platform; print(json.dumps(platform.python_version()))")
	return &pulumirpc.AboutResponse{Executable: python.path, Version: release}, err
}

func (h *host) GetRequiredPackages(
	ctx context.Context, req *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	python, err := interpreterOf(req.GetInfo(), os.Environ())
	if err != nil {
		return nil, err
	}
	installed, err := python.installed(ctx, true)
	if err != nil {
		return nil, err
	}
	required, err := python.plugins(ctx, installed)
	return &pulumirpc.GetRequiredPackagesResponse{Packages: required}, err
}

func (h *host) GetProgramDependencies(
	ctx context.Context, req *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	python, err := interpreterOf(req.GetInfo(), os.Environ())
	if err != nil {
		return nil, err
	}
	installed, err := python.installed(ctx, req.GetTransitiveDependencies())
	return &pulumirpc.GetProgramDependenciesResponse{Dependencies: installed}, err
}

// Run starts the user's program, which registers its resources with the
// engine's monitor, and waits for its end.
func (h *host) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	python, err := interpreterOf(req.GetInfo(), os.Environ())
	if err != nil {
		return nil, err
	}
	config, err := configVariables(req)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python.path, h.executorArguments(req)...)
	cmd.Dir = req.GetPwd()
	cmd.Env = append(python.env, config...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == errorAlreadyShown:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit) && exit.Exited():
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("Program exited with non-zero exit code: %d", exit.ExitCode())}, nil
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("Program did not run to its end: %v", err)}, nil
	}
}

// configVariables hands over stack config in the variables that the SDK reads.
func configVariables(req *pulumirpc.RunRequest) ([]string, error) {
	config := req.GetConfig()
	if config == nil {
		config = map[string]string{}
	}
	values, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	secrets, err := json.Marshal(append([]string{}, req.GetConfigSecretKeys()...))
	if err != nil {
		return nil, err
	}
	return []string{"PULUMI_CONFIG=" + string(values), "PULUMI_CONFIG_SECRET_KEYS=" + string(secrets)}, nil
}

func (h *host) executorArguments(req *pulumirpc.RunRequest) []string {
	program := req.GetInfo()
	args := []string{"-u", h.executor} // unbuffered: progress is shown as it happens
	for _, option := range []struct{ name, value string }{
		{"monitor", req.GetMonitorAddress()},
		{"engine", h.engine},
		{"project", req.GetProject()},
		{"stack", req.GetStack()},
		{"organization", req.GetOrganization()},
		{"pwd", req.GetPwd()},
		{"root_directory", program.GetRootDirectory()},
		{"dry_run", strconv.FormatBool(req.GetDryRun())},
		{"parallel", strconv.Itoa(int(req.GetParallel()))},
		{"tracing", h.tracing},
	} {
		if option.value != "" {
			args = append(args, "--"+option.name, option.value)
		}
	}
	args = append(args, filepath.Join(program.GetProgramDirectory(), program.GetEntryPoint()))
	return append(args, req.GetArgs()...)
}

// RunPlugin starts a policy pack (kind "analyzer") or another plugin that is
// written in Python, and streams what it prints.
func (h *host) RunPlugin(req *pulumirpc.RunPluginRequest, stream pulumirpc.LanguageRuntime_RunPluginServer) error {
	env := req.GetEnv()
	if len(env) == 0 {
		env = os.Environ()
	}
	python, err := interpreterOf(req.GetInfo(), env)
	if err != nil {
		return err
	}
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(stream, false)
	if err != nil {
		return err
	}
	defer closer.Close() //nolint:errcheck // the streams' own errors are reported by the plugin's end
	cmd := exec.CommandContext(stream.Context(), python.path, pluginArguments(req)...)
	cmd.Dir, cmd.Env = req.GetPwd(), python.env
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return stream.Send(&pulumirpc.RunPluginResponse{
			Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exit.ExitCode())}, //nolint:gosec // 0 to 255
		})
	}
	return err
}

// pluginArguments: a policy pack is not started itself but by the SDK, with
// its folder as the last argument.
func pluginArguments(req *pulumirpc.RunPluginRequest) []string {
	program := filepath.Join(req.GetInfo().GetProgramDirectory(), req.GetInfo().GetEntryPoint())
	if req.GetKind() != "analyzer" {
		return append([]string{"-u", program}, req.GetArgs()...)
	}
	args := append([]string{"-u", "-m", "pulumi.policy"}, req.GetArgs()...)
	return append(args, strings.TrimSuffix(program, string(filepath.Separator)+"."))
}

func (h *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
