#!/bin/sh
# Starts Grafana with the paths of its environment, which its files cannot change; GF_<name>__FILE is a file with the value
# of GF_<name>.
set -e
for name in $(env | sed -n 's/^\(GF_[^=]*\)__FILE=.*/\1/p'); do
    eval "file=\$${name}__FILE value=\${$name-}"
    if [ -n "$value" ]; then
        echo "both $name and ${name}__FILE are set" >&2
        exit 1
    fi
    export "$name=$(cat "$file")"
    unset "${name}__FILE"
done
export HOME="$GF_PATHS_HOME"
exec grafana server --homepath="$GF_PATHS_HOME" --config="$GF_PATHS_CONFIG" --packaging=docker "$@" \
    cfg:default.log.mode=console \
    cfg:default.paths.data="$GF_PATHS_DATA" \
    cfg:default.paths.logs="$GF_PATHS_LOGS" \
    cfg:default.paths.plugins="$GF_PATHS_PLUGINS" \
    cfg:default.paths.provisioning="$GF_PATHS_PROVISIONING"
