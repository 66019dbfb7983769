package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// interpreter is a Python and the environment that it runs in.
type interpreter struct {
	path string
	env  []string
}

// interpreterOf reads runtime.options of a Pulumi.yaml or PulumiPolicy.yaml:
// the virtual environment named there, else the Python on PATH.
func interpreterOf(program *pulumirpc.ProgramInfo, env []string) (interpreter, error) {
	venv, _ := program.GetOptions().AsMap()["virtualenv"].(string)
	if venv == "" {
		command := "python3"
		if chosen := os.Getenv("PULUMI_PYTHON_CMD"); chosen != "" {
			command = chosen
		}
		path, err := exec.LookPath(command)
		return interpreter{path, env}, err
	}
	if !filepath.IsAbs(venv) {
		venv = filepath.Join(program.GetRootDirectory(), venv)
	}
	path := filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(path); err != nil {
		return interpreter{}, fmt.Errorf("the virtual environment of Pulumi.yaml is not usable: %w", err)
	}
	return interpreter{path, activated(venv, env)}, nil
}

// activated does to an environment what a virtual environment's activate
// script does to a shell.
func activated(venv string, env []string) []string {
	out := []string{"VIRTUAL_ENV=" + venv}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		switch name {
		case "PATH":
			out = append(out, "PATH="+filepath.Join(venv, "bin")+string(os.PathListSeparator)+value)
		case "PYTHONHOME", "VIRTUAL_ENV":
		default:
			out = append(out, entry)
		}
	}
	return out
}

// ask runs a script that prints JSON.
func (p interpreter) ask(ctx context.Context, folder, script string, answer any) error {
	cmd := exec.CommandContext(ctx, p.path, "-c", script)
	cmd.Dir, cmd.Env = folder, p.env
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("%s: %w: %s", p.path, err, exit.Stderr)
		}
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return json.Unmarshal(out, answer)
}

// Both scripts look at what is installed, not at what is imported: the engine
// asks before it runs the program.
const (
	packagesWithPlugins = `
import importlib.metadata, json
found = {}
for distribution in importlib.metadata.distributions():
    for file in distribution.files or []:
        if file.name == "pulumi-plugin.json":
            plugin = json.loads(file.locate().read_text())
            if plugin.get("resource"):
                name = plugin.get("name") or file.parent.name.removeprefix("pulumi_")
                found[name] = {"name": name, "version": plugin.get("version") or "", "server": plugin.get("server") or ""}
print(json.dumps(sorted(found.values(), key=lambda plugin: plugin["name"])))
`
	installedDistributions = `
import importlib.metadata, json
print(json.dumps(sorted([d.metadata["Name"], d.version] for d in importlib.metadata.distributions())))
`
)
