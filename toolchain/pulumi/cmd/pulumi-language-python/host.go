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
	"time"

	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
)

// errorAlreadyShown is the executor's exit code after it has told the user
// what is wrong: the engine must stop without a message of its own.
const errorAlreadyShown = 32

// lastWords is the time that a program has to end after its SIGINT.
const lastWords = 5 * time.Second

// host answers the engine's questions about Python programs.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engine   string
	tracing  string
	executor string

	running context.Context //nolint:containedctx // it lasts as long as the host
	cancel  context.CancelFunc
}

func newHost(engine, tracing, executor string) *host {
	running, cancel := context.WithCancel(context.Background())
	return &host{engine: engine, tracing: tracing, executor: executor, running: running, cancel: cancel}
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
	running, stop := context.WithCancel(h.running)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	cmd := exec.CommandContext(running, python.path, h.executorArguments(req)...)
	cmd.Env = append(python.env, config...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = lastWords
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == errorAlreadyShown:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit): // -1 after a signal
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("program exited with non-zero exit code: %d", exit.ExitCode())}, nil
	default:
		return &pulumirpc.RunResponse{
			Error: fmt.Sprintf("problem executing program (could not run language executor): %v", err),
		}, nil
	}
}

// configVariables hands over stack config in the variables that the SDK reads.
func configVariables(req *pulumirpc.RunRequest) ([]string, error) {
	secrets, err := json.Marshal(append([]string{}, req.GetConfigSecretKeys()...))
	if err != nil {
		return nil, err
	}
	variables := []string{"PULUMI_CONFIG_SECRET_KEYS=" + string(secrets)}
	if req.GetConfig() == nil {
		return variables, nil
	}
	values, err := json.Marshal(req.GetConfig())
	return append(variables, "PULUMI_CONFIG="+string(values)), err
}

func (h *host) executorArguments(req *pulumirpc.RunRequest) []string {
	program := req.GetInfo()
	args := []string{h.executor}
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
	args = append(args, program.GetEntryPoint()) // relative to pwd, where the executor goes
	return append(args, req.GetArgs()...)
}

// RunPlugin starts a policy pack, and streams what it prints. The SDK's proxy
// stands before it: packs of today's SDK read the stack's config from their
// environment, which the engine says only to a pack that runs.
func (h *host) RunPlugin(req *pulumirpc.RunPluginRequest, stream pulumirpc.LanguageRuntime_RunPluginServer) error {
	pack := req.GetInfo().GetProgramDirectory()
	if req.GetKind() != string(apitype.AnalyzerPlugin) {
		return fmt.Errorf("%s: only policy packs are in this build of the language host, not a plugin of kind %s", pack, req.GetKind())
	}
	python, err := interpreterOf(req.GetInfo(), os.Environ())
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(req.GetInfo().GetRootDirectory(), "__main__.py")); err != nil {
		return fmt.Errorf("plugin is not runnable, it has no __main__.py: %w", err)
	}
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(stream, false)
	if err != nil {
		return err
	}
	defer closer.Close() //nolint:errcheck // the streams' own errors are reported by the plugin's end
	ctx := stream.Context()
	proxy, stdout, err := sdk.NewPolicyProxy(ctx, stdout)
	if err != nil {
		return fmt.Errorf("could not start policy pack proxy: %w", err)
	}
	stack, err := proxy.AwaitConfiguration(ctx)
	if err != nil {
		return fmt.Errorf("could not get stack configuration: %w", err)
	}
	variables, err := packVariables(stack)
	if err != nil {
		return err
	}
	args := append([]string{"-u", "-m", "pulumi.policy"}, req.GetArgs()...)
	cmd := exec.CommandContext(ctx, python.path, append(args, pack)...)
	cmd.Dir = pack
	cmd.Env = append(append(python.env, variables...), req.GetEnv()...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("problem executing plugin program (could not run language executor): %w", err)
	}
	err = proxy.Attach(ctx, cmd)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return stream.Send(&pulumirpc.RunPluginResponse{
			Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exit.ExitCode())}, //nolint:gosec // -1 to 255
		})
	}
	if err != nil {
		return fmt.Errorf("could not attach policy pack proxy: %w", err)
	}
	return closer.Close()
}

// packVariables tell a policy pack of the stack that it judges.
func packVariables(stack *pulumirpc.AnalyzerStackConfigureRequest) ([]string, error) {
	if stack == nil { // of an engine that does not say it
		return nil, nil
	}
	var variables []string
	for _, variable := range []struct{ name, value string }{
		{"PULUMI_ORGANIZATION", stack.GetOrganization()},
		{"PULUMI_PROJECT", stack.GetProject()},
		{"PULUMI_STACK", stack.GetStack()},
		{"PULUMI_DRY_RUN", strconv.FormatBool(stack.GetDryRun())},
	} {
		if variable.value != "" {
			variables = append(variables, variable.name+"="+variable.value)
		}
	}
	if stack.GetConfig() == nil {
		return variables, nil
	}
	config, err := json.Marshal(stack.GetConfig())
	return append(variables, "PULUMI_CONFIG="+string(config)), err
}

// Cancel ends the program: the user has interrupted the deployment.
func (h *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.cancel()
	return &emptypb.Empty{}, nil
}
