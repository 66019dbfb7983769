// Package local has the resource command:local:Command: a command on the
// machine that runs Pulumi, at the creation, update and deletion of the
// resource. Its name is the middle part of the resource's type token.
package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Command keeps nothing between calls: all it knows is in the engine's state.
type Command struct{}

// Inputs are what a program can set. assetPaths and archivePaths of the
// official provider are left out: setting them is an error, not a silent gap.
type Inputs struct {
	Create                 *string            `pulumi:"create,optional"`
	Update                 *string            `pulumi:"update,optional"`
	Delete                 *string            `pulumi:"delete,optional"`
	Triggers               *[]any             `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Interpreter            *[]string          `pulumi:"interpreter,optional"`
	Dir                    *string            `pulumi:"dir,optional"`
	Environment            *map[string]string `pulumi:"environment,optional"`
	Stdin                  *string            `pulumi:"stdin,optional"`
	Logging                *Logging           `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool              `pulumi:"addPreviousOutputInEnv,optional"`
}

// Outputs of the last run, beside the inputs that it had.
type Outputs struct {
	Inputs
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Create runs `create`, if there is one.
func (Command) Create(
	ctx context.Context, req infer.CreateRequest[Inputs],
) (infer.CreateResponse[Outputs], error) {
	resp := infer.CreateResponse[Outputs]{Output: Outputs{Inputs: req.Inputs}}
	if req.DryRun {
		return resp, nil
	}
	var err error
	if resp.ID, err = resource.NewUniqueHex(req.Name, 8, 0); err != nil {
		return resp, err
	}
	return resp, resp.Output.run(ctx, req.Inputs.Create, nil)
}

// Update runs `update`, else `create` again.
func (Command) Update(
	ctx context.Context, req infer.UpdateRequest[Inputs, Outputs],
) (infer.UpdateResponse[Outputs], error) {
	resp := infer.UpdateResponse[Outputs]{
		Output: Outputs{Inputs: req.Inputs, Stdout: req.State.Stdout, Stderr: req.State.Stderr},
	}
	if req.DryRun {
		return resp, nil
	}
	command := req.Inputs.Update
	if command == nil {
		command = req.Inputs.Create
	}
	return resp, resp.Output.run(ctx, command, &req.State)
}

// Delete runs `delete` with the inputs that the state has.
func (Command) Delete(ctx context.Context, req infer.DeleteRequest[Outputs]) (infer.DeleteResponse, error) {
	ended := Outputs{Inputs: req.State.Inputs}
	return infer.DeleteResponse{}, ended.run(ctx, req.State.Delete, &req.State)
}

// run executes a command, if there is one, and keeps what it prints.
func (o *Outputs) run(ctx context.Context, command *string, previous *Outputs) error {
	if command == nil {
		return nil
	}
	argv := o.argv(*command)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // running what the program says is its purpose
	cmd.Env = o.environment(previous)
	if o.Dir != nil {
		cmd.Dir = *o.Dir
	}
	if o.Stdin != nil {
		cmd.Stdin = strings.NewReader(*o.Stdin)
	}
	log := p.GetLogger(ctx)
	var stdout, stderr bytes.Buffer
	var both synchronized
	shown := lineWriter{show: log.InfoStatus}
	shownErrors := lineWriter{show: log.InfoStatus}
	cmd.Stdout = io.MultiWriter(&stdout, &both, shown.orNothing(o.Logging.has(Stdout)))
	cmd.Stderr = io.MultiWriter(&stderr, &both, shownErrors.orNothing(o.Logging.has(Stderr)))
	err := cmd.Run()
	shown.flush()
	shownErrors.flush()
	o.Stdout = strings.TrimSuffix(stdout.String(), "\n")
	o.Stderr = strings.TrimSuffix(stderr.String(), "\n")
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, *command, both.String())
	}
	return nil
}

func (o *Outputs) argv(command string) []string {
	interpreter := []string{"/bin/sh", "-c"}
	if o.Interpreter != nil && len(*o.Interpreter) > 0 {
		interpreter = *o.Interpreter
	}
	return append(append([]string{}, interpreter...), command)
}

// environment is this process's, then what the program sets, then what the
// last run printed: later entries win.
func (o *Outputs) environment(previous *Outputs) []string {
	env := os.Environ()
	if o.Environment != nil {
		for name, value := range *o.Environment {
			env = append(env, name+"="+value)
		}
	}
	if previous == nil || o.AddPreviousOutputInEnv != nil && !*o.AddPreviousOutputInEnv {
		return env
	}
	if previous.Stdout != "" {
		env = append(env, "PULUMI_COMMAND_STDOUT="+previous.Stdout)
	}
	if previous.Stderr != "" {
		env = append(env, "PULUMI_COMMAND_STDERR="+previous.Stderr)
	}
	return env
}
