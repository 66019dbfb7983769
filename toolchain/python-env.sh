#!/bin/sh
# Makes .venv from requirements.txt, before there is any Python package to do it with.
# Does nothing, in milliseconds, when the file, the interpreter and the place are those of the last time.
set -eu

cd "$(dirname "$0")/.."
here=$(pwd -P)
requirements=requirements.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nervous-system
stamp=.venv/made-from

fail() {
    echo "✗ $1" >&2
    echo "  What to do: $2" >&2
    exit 1
}

# macOS before 15 has no sha256sum.
sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# The first Python that is new enough, if there is one.
find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

apt_install() {
    command -v apt-get >/dev/null ||
        fail "missing: $*" "install it with the package manager of this machine, then run again"
    root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "root is needed to install $*" "run as root, or install sudo"
        root=sudo
    fi
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >/dev/null ||
        { $root apt-get update >/dev/null &&
            $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >/dev/null; } ||
        fail "apt-get could not install $*" "see the lines above; on older releases, install Python 3.11 by hand"
}

python=$(find_python)
if [ -z "$python" ]; then
    command -v apt-get >/dev/null || fail "Python 3.11 or newer is missing" "install it, then run again (macOS: brew install python)"
    # The default Python of Ubuntu 22.04 is older; this one stands beside it.
    apt_install python3.11 python3.11-venv
    python=$(find_python)
fi

# Each by itself: among other words a substitution that fails ends nothing.
hashes=$(sha256 "$requirements" toolchain/python-env.sh)
version=$("$python" -VV)
wanted="$hashes $version $here"
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

mkdir -p "$cache/locks"
if command -v flock >/dev/null; then
    exec 9>"$cache/locks/python-env"
    flock 9
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0
fi

"$python" -c 'import ensurepip' 2>/dev/null ||
    apt_install "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"

# uv installs in seconds what takes pip a minute, and links files out of its cache. It comes from requirements.txt too.
pinned=$(awk '/^uv==/ {found = 1} found {print} found && !/\\$/ {exit}' "$requirements")
[ -n "$pinned" ] || fail "$requirements pins no uv" "make it anew: make lock"
key=$(echo "$pinned" | sha256)
tool="$cache/uv-$(echo "$key" | cut -c1-12)"
if [ ! -x "$tool/bin/uv" ]; then
    rm -rf "$tool.unfinished"
    "$python" -m venv "$tool.unfinished"
    echo "$pinned" >"$tool.unfinished/requirements.txt"
    "$tool.unfinished/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
        -r "$tool.unfinished/requirements.txt" ||
        fail "Python packages cannot be downloaded" "give pip an index that it can reach (pip config set global.index-url …)"
    rm -rf "$tool"
    mv "$tool.unfinished" "$tool"
fi

# uv does not read pip's settings.
index=$("$tool/bin/python" -m pip config get global.index-url 2>/dev/null || echo "${PIP_INDEX_URL:-}")
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"

echo "… Python environment"
"$tool/bin/uv" venv --quiet --clear --python "$python" .venv
"$tool/bin/uv" pip install --quiet --python .venv --require-hashes -r "$requirements" ||
    fail "the packages of $requirements cannot be installed" "see the lines above; run again when the index answers"
echo "$wanted" >"$stamp"
