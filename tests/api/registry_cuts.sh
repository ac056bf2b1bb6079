#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# a small pull with its connection cut at every byte of every answer: the right error or success, and nothing left behind
. "$(dirname "$0")/../registry/rig.sh"
[ -z "${TEST_HOST:-}" ] || { echo "1..0 # SKIP about arcad alone: its files are looked at"; exit 0; }
liar LIAR
ARCAD_ARGS+=(--vm-pool 0 --max-download-attempts 1)
OWN_ARGS=("${ARCAD_ARGS[@]}")
cuts() { timeout -k 5 300 python3 "$RIG_DIR/cuts.py" "$1" "$SOCK" "$LIAR" "$RIG/LIAR.log" "$(arcad_pid)" "$ROOT/data" >"$RIG/cuts" 2>&1 || { cat "$RIG/cuts"; return 1; }; grep '^#' "$RIG/cuts" >>"$RIG/said"; }
consistent() { arcad_stop; "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" --gc-check=full; arcad_start; }

t_a_connection_cut_for_good_at_every_byte_is_an_error() { # at one attempt: no pause, and the store looked at after each
	cuts cut; consistent
}
t_a_connection_cut_once_at_every_byte_is_taken_up_again() {
	trap 'ARCAD_ARGS=("${OWN_ARGS[@]}")' EXIT
	arcad_stop; ARCAD_ARGS+=(--max-download-attempts 2); arcad_start
	cuts cutonce; consistent
}
t_a_pull_after_all_this_is_whole() {
	docker pull -q "$LIAR/truth:latest" >/dev/null; intact "$LIAR/truth:latest"
}

echo '{}' >"$ROOT/daemon.json"
trap 'cat "$RIG/said"; rig_stop; finish' EXIT
run_tests
