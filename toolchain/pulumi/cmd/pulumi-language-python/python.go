package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	options, err := optionsOf(program)
	if err != nil {
		return interpreter{}, err
	}
	venv := options["virtualenv"]
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

// optionsOf refuses what the official host would not run by pip: it takes uv
// or poetry where their lock file lies in the program's folder or in any above
// it, and nothing says which tool is meant.
func optionsOf(program *pulumirpc.ProgramInfo) (map[string]string, error) {
	options := map[string]string{}
	for name, value := range program.GetOptions().AsMap() {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("runtime.options.%s must be a string", name)
		}
		options[name] = text
	}
	if options["typechecker"] != "" {
		return nil, errors.New("runtime.options.typechecker: not in this build of the language host")
	}
	switch options["toolchain"] {
	case "pip":
	case "":
		for folder := program.GetProgramDirectory(); ; folder = filepath.Dir(folder) {
			for _, lock := range []string{"uv.lock", "poetry.lock"} {
				if _, err := os.Stat(filepath.Join(folder, lock)); err == nil {
					return nil, fmt.Errorf("%s means another tool than pip: say runtime.options.toolchain: pip",
						filepath.Join(folder, lock))
				}
			}
			if folder == filepath.Dir(folder) {
				return options, nil
			}
		}
	default:
		return nil, fmt.Errorf("runtime.options.toolchain: %s: not in this build of the language host, which has pip",
			options["toolchain"])
	}
	return options, nil
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

// ask runs Python with arguments that make it print JSON. It runs in the
// folder of the host, as with the official one.
func (p interpreter) ask(ctx context.Context, answer any, args ...string) error {
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = p.env
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("calling `%s`: %w: %s", strings.Join(cmd.Args, " "), err, exit.Stderr)
		}
		return fmt.Errorf("calling `%s`: %w", strings.Join(cmd.Args, " "), err)
	}
	return json.Unmarshal(out, answer)
}

// installed asks pip, as the official host does: an environment without pip
// cannot be deployed from.
func (p interpreter) installed(ctx context.Context, transitive bool) ([]*pulumirpc.DependencyInfo, error) {
	args := []string{"-m", "pip", "list", "--format", "json"}
	if !transitive {
		args = append(args, "--not-required")
	}
	var installed []*pulumirpc.DependencyInfo
	if err := p.ask(ctx, &installed, args...); err != nil {
		return nil, err
	}
	for _, distribution := range installed {
		distribution.Name = separators.ReplaceAllString(strings.ToLower(distribution.GetName()), "-")
	}
	return installed, nil
}

// separators are the same in names of distributions (PEP 503).
var separators = regexp.MustCompile("[-_.]+")

// withoutPlugin are the packages named as if they had one.
var withoutPlugin = map[string]bool{"pulumi-policy": true, "pulumi-esc-sdk": true}

// plugins of the installed packages: what a pulumi-plugin.json says, and what
// is called pulumi-….
func (p interpreter) plugins(
	ctx context.Context, installed []*pulumirpc.DependencyInfo,
) ([]*pulumirpc.PackageDependency, error) {
	args := []string{"-c", pluginFiles}
	for _, distribution := range installed {
		args = append(args, distribution.GetName())
	}
	var files map[string]struct {
		Resource              bool
		Name, Version, Server string
	}
	if err := p.ask(ctx, &files, args...); err != nil {
		return nil, err
	}
	var required []*pulumirpc.PackageDependency
	for _, distribution := range installed {
		plugin, has := files[distribution.GetName()]
		name, named := strings.CutPrefix(distribution.GetName(), "pulumi-")
		if withoutPlugin[distribution.GetName()] || has && !plugin.Resource || !has && !named {
			continue
		}
		version := strings.TrimPrefix(cmp.Or(plugin.Version, distribution.GetVersion()), "v")
		required = append(required, &pulumirpc.PackageDependency{
			Kind: "resource", Name: cmp.Or(plugin.Name, name), Version: "v" + version, Server: plugin.Server,
		})
	}
	return required, nil
}

// pluginFiles prints what the pulumi-plugin.json of each named distribution
// says. It imports none of them: the engine asks before it runs the program.
const pluginFiles = `
import contextlib, importlib.metadata, importlib.util, json, pathlib, sys
found = {}
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(importlib.metadata.metadata(name)["Name"].replace("-", "_"))
        for folder in spec.submodule_search_locations or [] if spec else []:
            file = pathlib.Path(folder, "pulumi-plugin.json")
            if file.is_file():
                found.setdefault(name, json.loads(file.read_text()))
print(json.dumps(found))
`
