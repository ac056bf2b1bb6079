#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# first-run.sh - start arcad out of the build folder, make a first image, run a first container
#
#   tools/first-run.sh BUILD         start (or find) the daemon and run a container
#   tools/first-run.sh BUILD stop    stop it, and its containers
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
build=$(realpath "$1") verb=${2:-run}
if [ "$(id -u)" = 0 ]; then
	run=/run/arca data=/var/lib/arca
else
	run=${XDG_RUNTIME_DIR:-/tmp}/arca data=${XDG_DATA_HOME:-$HOME/.local/share}/arca
fi
sock=$run/arca.sock pidfile=$run/arcad.pid log=$data/arcad.log
docker=$("$here/tools/docker-cli.sh" "$build/docker-cli")
export DOCKER_HOST=unix://$sock

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
pid() { cat "$pidfile" 2>/dev/null || true; }
alive() { local p; p=$(pid); [ -n "$p" ] && [ -d "/proc/$p" ]; }

if [ "$verb" = stop ]; then
	alive || { echo "arcad is not running"; exit 0; }
	containers=$("$docker" ps -q || true)
	# shellcheck disable=SC2086 # a list of ids
	[ -z "$containers" ] || "$docker" stop $containers
	p=$(pid); kill "$p"; while [ -d "/proc/$p" ]; do sleep 0.1; done
	exit 0
fi

if alive && "$docker" version >/dev/null 2>&1; then
	say "arcad is running (pid $(pid))"
else
	say "starting arcad (log: $log)"
	mkdir -p "$run" "$data"
	setsid "$build/arcad" --pidfile "$pidfile" >>"$log" 2>&1 </dev/null &
	started=$!
	for _ in $(seq 100); do
		"$docker" version >/dev/null 2>&1 && break
		[ -d "/proc/$started" ] || { tail -5 "$log" >&2; exit 1; }
		sleep 0.1
	done
	"$docker" version >/dev/null || { tail -5 "$log" >&2; exit 1; }
fi

if ! "$docker" image inspect busybox >/dev/null 2>&1; then
	say "making a first image out of Debian's busybox-static"
	"$docker" load -q -i "$("$here/tests/images/make.sh" busybox)"
fi

say "docker run --rm --network none busybox uname -a"
"$docker" run --rm --network none busybox uname -a
cat <<EOF

That kernel ran in a virtual machine of its own. Go on with:

    export DOCKER_HOST=$DOCKER_HOST
    $docker run -it --rm busybox
    make stop        stops the daemon that runs now
EOF
