#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A guest whose agent says nothing, or noise without end: an error for the client, nothing left behind, the daemon lives on
. "$(dirname "$0")/../lib.sh"

# Emulation is fixed by --accel, so that one boot decides; a boot waits for its agent for up to a minute or so.
start_with() { # CFLAGS...: an arcad whose guest runs bad-agent.c
	mkdir -p "$ROOT/bad"
	cc -static -O1 "$@" -o "$ROOT/bad/init" "$TESTS/vm/bad-agent.c"
	(cd "$ROOT/bad" && echo init | cpio --quiet -o -H newc) >"$ROOT/bad.cpio"
	cat "$BUILD/guest/initrd.img" "$ROOT/bad.cpio" >"$ROOT/bad.img"
	ARCAD_ARGS=(--accel tcg --vm-pool 0 --initrd "$ROOT/bad.img")
	arcad_start
	image busybox
}
refused() {
	local pid out; pid=$(arcad_pid)
	out=$(DOCKER_TIMEOUT=240 fails docker run --name never --network none busybox true)
	echo "$out"; has "$out" "$1"
	[ "$(awk '/VmHWM/ {print $2}' "/proc/$pid/status")" -lt 100000 ]
	eq "$(api GET /_ping)" OK; until_true 20 no_vms_at_all
	docker rm never >/dev/null
}
t_a_mute_agent() { start_with -DBAD_AGENT_MUTE; refused "does not answer"; arcad_stop; }
t_an_agent_that_sends_garbage() { start_with; refused "agent in the VM"; arcad_stop; }

echo '{}' >"$ROOT/daemon.json"
NO_DAEMON=1
run_tests
