# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the integration tests share: an arcad of their own, the docker CLI, TAP
#
# A test file sources this, defines functions named t_CLAIM (run in the order of the file, each in a subshell under
# `set -e`), and calls run_tests. A function fails when a command in it fails; `skip REASON` skips it. The daemon is
# started before the first test in a temporary root and stopped, by pid, after the last, with its VMs.
# All of that in a network namespace of its own: files run beside each other.
set -uo pipefail
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -n "${ARCA_OWN_NET:-}${TEST_HOST:-}" ] || ARCA_OWN_NET=1 exec "$TESTS/own-net.sh" bash "$0" "$@"
BUILD=$(realpath "${BUILD:-$TESTS/../build}")
ROOT=$(mktemp -d /tmp/arca-test.XXXXXX)
DOCKER=$("$TESTS/../tools/docker-cli.sh" "$BUILD/docker-cli")
# TEST_HOST=unix://... runs a file against another Docker server, to see whether a claim is Docker's at all.
export DOCKER_HOST=${TEST_HOST:-unix://$ROOT/arca.sock} DOCKER_CONFIG=$ROOT/docker-config DOCKER_CLI_HINTS=false
SOCK=${DOCKER_HOST#unix://}
[ -z "${TEST_HOST:-}" ] || NO_DAEMON=1
ARCAD_ARGS=()
mkdir -p "$DOCKER_CONFIG"

docker() { timeout -k 5 "${DOCKER_TIMEOUT:-60}" "$DOCKER" "$@"; }
urlencode() { jq -rn --arg x "$1" '$x | @uri'; }
api() { # METHOD PATH [curl args]: raw answer's body
	local m=$1 p=$2; shift 2
	curl -sS --max-time 30 --unix-socket "$SOCK" -X "$m" "http://localhost$p" "$@"
}
status() { # METHOD PATH [curl args]: the HTTP status alone
	local m=$1 p=$2; shift 2
	curl -sS --max-time 30 -o /dev/null -w '%{http_code}' --unix-socket "$SOCK" -X "$m" "http://localhost$p" "$@"
}
tty_docker() { # CLI arguments as one shell word list: the CLI on a terminal of its own, which ends with stdin
	# --foreground: in a process group of its own, which timeout makes by itself, the CLI would not have the terminal
	script -qec "timeout --foreground -s KILL 60 $DOCKER $1" /dev/null
}
image() { # NAME...: made if need be and loaded
	local n
	for n in "$@"; do docker load -q -i "$("$TESTS/images/make.sh" "$n" 2>/dev/null)" >/dev/null || return; done
}

arcad_pid() { cat "$ROOT/arcad.pid"; }
arcad_start() {
	"$BUILD/arcad" -H "unix://$SOCK" --data-root "$ROOT/data" --exec-root "$ROOT/exec" --pidfile "$ROOT/arcad.pid" \
		--config-file "$ROOT/daemon.json" -D "${ARCAD_ARGS[@]}" >>"$ROOT/arcad.log" 2>&1 </dev/null &
	local p=$!
	for _ in $(seq 200); do
		[ "$(api GET /_ping 2>/dev/null)" = OK ] && return 0
		[ -d "/proc/$p" ] || break
		sleep 0.05
	done
	echo "# arcad does not come up:"; tail -5 "$ROOT/arcad.log" | sed 's/^/# /'
	return 1
}
arcad_gone() { # waits until that pid has gone
	local p=$1
	for _ in $(seq 400); do [ -d "/proc/$p" ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$p/stat" 2>/dev/null)" != Z ] || return 0; sleep 0.05; done
	return 1
}
arcad_stop() { local p; p=$(arcad_pid); kill "$p"; arcad_gone "$p"; }
arcad_kill9() { local p; p=$(arcad_pid); kill -9 "$p"; arcad_gone "$p"; }
vm_pids() { # of containers' VMs: the pool has others
	jq .pid "$ROOT"/exec/vm/[0-9a-f]*/vm.json 2>/dev/null || true # there may be none
}
all_vm_pids() { # of this test's own VMs, the pool's included
	local d
	for d in /proc/[0-9]*; do tr '\0' ' ' 2>/dev/null <"$d/cmdline" | grep -q "qemu-system.*$ROOT/" && basename "$d"; done
	return 0
}

eq() { [ "$1" = "$2" ] || { echo "is:     $1"; echo "wanted: $2"; return 1; }; }
has() { case $1 in *"$2"*) ;; *) echo "is:         $1"; echo "must have:  $2"; return 1 ;; esac; }
lacks() { case $1 in *"$2"*) echo "is:          $1"; echo "must not have: $2"; return 1 ;; *) ;; esac; }
fails() { # CMD...: must fail; prints its output
	local out
	if out=$("$@" 2>&1); then echo "succeeded: $*" >&2; echo "$out" >&2; return 1; fi
	echo "$out"
}
until_true() { # SECONDS CMD...: waits for an event that nothing announces
	local n=$(($1 * 20)); shift
	for _ in $(seq "$n"); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
	echo "never came true: $*"; return 1
}
logs_have() { docker logs "$1" 2>&1 | grep -q -- "$2"; }
no_vms() { [ -z "$(vm_pids)" ]; }
no_vms_at_all() { [ -z "$(all_vm_pids)" ]; }
skip() { echo "SKIP $*" >"$ROOT/skip"; exit 0; }

net_end() { # what a daemon that was killed left of the underlay
	local f pid ticks
	for f in "$ROOT"/exec/net/{forward,pasta}.pid; do
		[ -s "$f" ] && read -r pid ticks <"$f" && [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)" = "$ticks" ] && kill "$pid"
	done
	umount "$ROOT/exec/net/ns" 2>/dev/null || true
}
finish() {
	local p
	for p in $(all_vm_pids); do kill -9 "$p" 2>/dev/null; done # without VMs the daemon takes the underlay down
	[ ! -s "$ROOT/arcad.pid" ] || arcad_stop 2>/dev/null
	for p in $(all_vm_pids); do kill -9 "$p" 2>/dev/null; done
	net_end
	[ -n "${KEEP_ROOT:-}" ] && echo "# kept $ROOT" || rm -rf "$ROOT"
}
trap finish EXIT

run_tests() {
	local name n=0 bad=0 out
	[ -n "${NO_DAEMON:-}" ] || arcad_start || { echo "not ok 1 - arcad starts"; echo 1..1; exit 1; }
	for name in $(grep -o '^t_[a-zA-Z0-9_]*' "$0"); do
		[ -z "${ONLY:-}" ] || [[ $name == *$ONLY* || $name == t_first_* ]] || continue
		n=$((n + 1)); rm -f "$ROOT/skip"
		# not in an `if`: set -e would sleep inside one
		( set -eE; trap 'echo "failed at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR; "$name" ) >"$ROOT/out" 2>&1
		if [ $? = 0 ]; then
			if [ -s "$ROOT/skip" ]; then echo "ok $n - $name # $(cat "$ROOT/skip")"; else echo "ok $n - $name"; fi
		else
			bad=1; sed 's/^/# /' "$ROOT/out" | tail -30; echo "not ok $n - $name"
			# what it left must not fail the next claim as well
			[ -n "${NO_DAEMON:-}" ] || api GET /_ping >/dev/null 2>&1 || arcad_start
			docker ps -aq 2>/dev/null | xargs -r timeout 60 "$DOCKER" rm -f >/dev/null 2>&1
		fi
	done
	echo "1..$n"
	[ "$bad" = 0 ] || { echo "# the daemon's last lines:"; tail -15 "$ROOT/arcad.log" | sed 's/^/# /'; }
	exit "$bad"
}
