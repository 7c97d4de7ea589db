#!/usr/bin/env bash
# Installs the packages that the tests need besides npm's, or only those of `npm run test:calls` (install.sh calls).
# Debian as root; names each package that it cannot install.
set -euo pipefail

need() { # need PROGRAM-OR-GLOB PACKAGE
  compgen -G "$1" > /dev/null && return
  [ "$(id -u)" = 0 ] || { echo "The tests need Debian's package $2. Install it, or run this as root." >&2; exit 1; }
  [ -n "${updated:-}" ] || { apt-get update -qq; updated=yes; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" > /dev/null \
    || { echo "The tests need Debian's package $2, which could not be installed." >&2; exit 1; }
}

go_program() { # go_program NAME VERSION PACKAGE VARIABLE: of Go's module proxy, outside the tree, unless VARIABLE names one
  local folder=$HOME/.cache/hearth/$1-$2
  if [ -n "${!4:-}" ] || [ -x "$folder/${3##*/}" ]; then return; fi
  command -v go > /dev/null || { echo "The tests need Go to build $1 $2. Install Go, or set $4 to the program." >&2; exit 1; }
  echo "Building $1 $2 with Go, which takes some minutes"
  GOBIN=$folder nice go install "$3@v$2" \
    || { echo "The tests need $1 $2, which could not be built from Go's module proxy into $folder." >&2; exit 1; }
}

# Later versions of LiveKit have replaced modules, so Go cannot install them by name.
livekit() { go_program livekit 1.9.11 github.com/livekit/livekit-server/cmd/server LIVEKIT_SERVER; }
if [ "${1:-}" = calls ]; then need /usr/bin/chromium chromium; livekit; exit; fi

need '/usr/lib/postgresql/*/bin/initdb' postgresql
need /usr/bin/turnserver coturn
need /usr/bin/chromium chromium
need /usr/bin/openssl openssl

# Of Prometheus only the program that checks rules, outside the tree: the package would start a service.
promtool=$HOME/.cache/hearth/promtool
if [ -z "${PROMTOOL:-}" ] && [ ! -x /usr/bin/promtool ] && [ ! -x "$promtool/promtool" ]; then
  [ -n "${updated:-}" ] || [ "$(id -u)" != 0 ] || { apt-get update -qq; updated=yes; }
  folder=$(mktemp -d)
  (cd "$folder" && chmod 755 . && apt-get download -qq prometheus 2> /dev/null && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) \
    && mkdir -p "$promtool" && mv "$folder/usr/bin/promtool" "$promtool/" \
    || { echo "The tests need promtool of Debian's package prometheus, which could not be downloaded. Set PROMTOOL to the program." >&2; exit 1; }
  rm -rf "$folder"
fi

# Synapse is the other server in the federation tests: in a virtualenv outside the tree, unless SYNAPSE_PYTHON names a Python that has it.
synapse_version=1.163.0
synapse=$HOME/.cache/hearth/synapse-$synapse_version
if [ -z "${SYNAPSE_PYTHON:-}" ] && ! "$synapse/bin/python" -c 'import synapse' 2> /dev/null; then
  need "/usr/lib/python3*/ensurepip" python3-venv
  rm -rf "$synapse" && python3 -m venv "$synapse" \
    && "$synapse/bin/pip" install --quiet --disable-pip-version-check "matrix-synapse==$synapse_version" \
    || { echo "The tests need Synapse $synapse_version, which could not be installed from PyPI into $synapse." >&2; exit 1; }
fi

# An S3-compatible store.
go_program versitygw 1.8.0 github.com/versity/versitygw/cmd/versitygw VERSITYGW
livekit
