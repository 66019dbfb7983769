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

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
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
		path, err := onPath()
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

// onPath is the Python where no virtual environment is named.
func onPath() (string, error) {
	commands := []string{"python3", "python"}
	if chosen := os.Getenv("PULUMI_PYTHON_CMD"); chosen != "" {
		commands = []string{chosen}
	}
	for _, command := range commands {
		if path, err := exec.LookPath(command); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("failed to locate any of %q on your PATH. Have you installed Python 3.11 or newer?", commands)
}

// optionsOf refuses what the official host would not run by pip: it takes uv
// or poetry where their lock file lies in the program's folder or in any above
// it, and nothing says which tool is meant.
func optionsOf(program *pulumirpc.ProgramInfo) (map[string]string, error) {
	options := map[string]string{}
	for _, name := range []string{"virtualenv", "typechecker", "toolchain"} {
		value, said := program.GetOptions().AsMap()[name]
		if !said {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s option must be a string", name)
		}
		options[name] = text
	}
	if checker, said := options["typechecker"]; said {
		return nil, fmt.Errorf("unsupported typechecker option: %s: not in this build of the language host", checker)
	}
	tool, said := options["toolchain"]
	if said && tool != "pip" {
		return nil, fmt.Errorf("unsupported toolchain option: %s: this build of the language host has pip", tool)
	}
	if said {
		return options, nil
	}
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
}

// activated does to an environment what a virtual environment's activate
// script does to a shell.
func activated(venv string, env []string) []string {
	path := filepath.Join(venv, "bin")
	out := []string{"VIRTUAL_ENV=" + venv}
	for _, entry := range env {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "PATH":
			path += string(os.PathListSeparator) + value
		case "PYTHONHOME", "VIRTUAL_ENV":
		default:
			out = append(out, entry)
		}
	}
	return append(out, "PATH="+path)
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
	var files map[string]string
	if err := p.ask(ctx, &files, args...); err != nil {
		return nil, err
	}
	var required []*pulumirpc.PackageDependency
	for _, distribution := range installed {
		text, has := files[distribution.GetName()]
		name, named := strings.CutPrefix(distribution.GetName(), "pulumi-")
		if withoutPlugin[distribution.GetName()] || !has && !named {
			continue
		}
		described := plugin.PulumiPluginJSON{Resource: !has}
		if has {
			if err := json.Unmarshal([]byte(text), &described); err != nil {
				return nil, fmt.Errorf("failed to parse pulumi-plugin.json for %s: %w", distribution.GetName(), err)
			}
		}
		version := cmp.Or(described.Version, pluginVersion(distribution.GetVersion()))
		if !described.Resource || version == "" {
			continue
		}
		required = append(required, &pulumirpc.PackageDependency{
			Kind: "resource", Name: cmp.Or(described.Name, name), Server: described.Server,
			Version: "v" + strings.TrimPrefix(version, "v"),
		})
	}
	return required, nil
}

// release is a version of a Python package (PEP 440) that a plugin can have.
var release = regexp.MustCompile(`^(\d+(?:\.\d+)*)(?:(a|b|rc)(\d*))?(?:\.(post\d*))?(?:\.(dev\d*))?$`)

// pluginVersion is the same version in the words of the plugin's own releases
// (semver); empty where there is none.
func pluginVersion(version string) string {
	parts := release.FindStringSubmatch(version)
	if parts == nil {
		return ""
	}
	found := parts[1] + strings.Repeat(".0", max(0, 2-strings.Count(parts[1], ".")))
	if parts[2] != "" {
		found += "-" + map[string]string{"a": "alpha", "b": "beta", "rc": "rc"}[parts[2]] + "." + parts[3]
	}
	if build := parts[4] + parts[5]; build != "" {
		found += "+" + build
	}
	return found
}

// pluginFiles prints the pulumi-plugin.json of each named distribution. It
// imports none of them: the engine asks before it runs the program.
const pluginFiles = `
import contextlib, importlib.metadata, importlib.util, json, pathlib, sys
found = {}
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(importlib.metadata.metadata(name)["Name"].replace("-", "_"))
        for folder in spec.submodule_search_locations or [] if spec else []:
            file = pathlib.Path(folder, "pulumi-plugin.json")
            if file.is_file():
                found.setdefault(name, file.read_text())
print(json.dumps(found))
`
