#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# full_disk.sh - the disk of the data root is full: who writes stands still, and goes on once there is space
. "$(dirname "$0")/../lib.sh"
echo '{}' >"$ROOT/daemon.json"
trap 'finish 2>/dev/null; umount -l "$ROOT/data"; rm -rf "$ROOT"' EXIT
# A file system that does not need space for what is read, as tmpfs does.
mkdir "$ROOT/data"; truncate -s 400M "$ROOT/disk"; mkfs.ext4 -q -m 0 "$ROOT/disk"
mount -o loop "$ROOT/disk" "$ROOT/data" 2>/dev/null || { echo "1..0 # SKIP cannot mount a file here"; exit 0; }

up() { docker run -d --name "$1" "${@:2}" busybox sleep 3600 >/dev/null; } # NAME [OPTION...]
nearly_fill() { fallocate -l $(($(df --output=avail "$ROOT/data" | tail -1) - 12288))K "$ROOT/data/ballast"; } # the daemon's rows find room
space() { rm "$ROOT/data/ballast"; }
said() { grep -c "$1" "$ROOT/arcad.log" || true; }
stands_still() { [ "$(said 'stands still')" -gt "${1:-0}" ]; }
writes() { docker exec "$1" sh -c 'dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null; sync; sha256sum </big >/sum; sync; echo "$(wc -c </big) bytes"'; }

t_first_the_image() { image busybox; }
t_who_writes_stands_still_until_there_is_space() {
	local p; up aa; nearly_fill; writes aa >"$ROOT/wrote" & p=$!
	until_true 30 stands_still; sleep 2; [ ! -s "$ROOT/wrote" ]; eq "$(docker inspect -f '{{.State.Status}}' aa)" running
	space; wait $p; eq "$(cat "$ROOT/wrote")" "41943040 bytes"; docker exec aa sh -c '[ "$(sha256sum </big)" = "$(cat /sum)" ]'
	until_true 10 eval '[ "$(said "goes on: its disk has space")" = 1 ]'; docker rm -f aa >/dev/null
}
t_a_new_daemon_has_it_go_on() {
	local before p; before=$(said 'stands still'); up aa; nearly_fill; writes aa >"$ROOT/wrote" & p=$!; until_true 30 stands_still "$before"
	arcad_kill9; wait $p || true; space; arcad_start; until_true 30 docker exec aa sh -c '[ "$(sha256sum </big)" = "$(cat /sum)" ]'
	eq "$(docker inspect -f '{{.State.Status}} {{.RestartCount}}' aa)" 'running 0'; docker rm -f aa >/dev/null
}
t_it_can_be_removed() {
	local before p; before=$(said 'stands still'); up aa; nearly_fill; writes aa >"$ROOT/wrote" 2>&1 & p=$!; until_true 30 stands_still "$before"
	docker rm -f aa >/dev/null; wait $p || true; space; up cc; eq "$(docker exec cc echo well)" well; docker rm -f cc >/dev/null; until_true 10 no_vms
}

run_tests
