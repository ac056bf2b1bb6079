#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# the pool: VMs that run ahead of need are nobody's until they are somebody's, and then theirs alone
. "$(dirname "$0")/../lib.sh"
drun() { docker run --rm --network none "$@"; }
members() { find "$ROOT/exec/vm" -maxdepth 1 -name 'pool-*' -printf '%f\n' 2>/dev/null | sort; }
both_ready() { # two members, each of which was said to be ready, of the default shape or of ${MIB} MiB
	local m n=0
	for m in $(members); do grep -q "${m:0:12} .* ${MIB:-512} MiB is ready" "$ROOT/arcad.log" || return; n=$((n + 1)); done
	[ $n = 2 ]
}
filled() { until_true 60 both_ready; }
claims() { grep -c 'comes from the pool' "$ROOT/arcad.log" || true; }

t_first_of_all_load() { image busybox; filled; }
t_a_start_takes_a_member_and_the_pool_fills_again() {
	local n; n=$(claims)
	eq "$(drun busybox echo hi)" hi
	eq "$(claims)" $((n + 1))
	filled
}
t_members_differ_in_all_that_clones_share() {
	filled
	local n a b; n=$(claims)
	# shellcheck disable=SC2016 # for the container's shell
	local what='cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | md5sum; hostname'
	a=$(drun busybox sh -c "$what"); b=$(drun busybox sh -c "$what")
	eq "$(claims)" $((n + 2))
	eq "$( (echo "$a"; echo "$b") | sort | uniq -d)" ""
	filled; a=$(drun busybox date +%s); b=$(date +%s); [ $((b - a)) -le 2 ] && [ $((a - b)) -le 2 ]
}
t_nothing_of_the_rehearsal_is_left() {
	filled
	eq "$(drun busybox sh -c 'ls -d /rehearse /tmp/rehearse* 2>/dev/null; cat /etc/passwd | grep rehearse; echo end')" end
	lacks "$(drun busybox ps)" rehearse
	# shellcheck disable=SC2016
	eq "$(drun busybox sh -c 'echo $$')" 1
}
t_the_upper_layer_is_the_containers_own() {
	filled
	docker run --name cp --network none busybox sh -c 'echo kept >/kept; dd if=/dev/zero of=/big bs=64k count=64 2>/dev/null' >/dev/null
	filled
	docker start -a cp >/dev/null
	filled
	[ "$(stat -c %b "$ROOT/data/containers/$(docker inspect -f '{{.Id}}' cp)/upper.ext4")" -gt 8000 ]
	docker rm cp >/dev/null
	docker run -d --name cp --network none busybox sh -c 'echo first >>/f; cat /f; sleep 100' >/dev/null
	filled; docker restart -t 0 cp >/dev/null
	until_true 10 sh -c "docker logs cp | tail -2 | grep -q first"
	eq "$(docker exec cp cat /f)" "$(printf 'first\nfirst')"
	docker rm -f cp >/dev/null
}
t_a_member_that_died_costs_nothing() {
	filled
	local p
	local old; old=$(members)
	for p in $(all_vm_pids); do kill -9 "$p"; done
	eq "$(drun busybox echo alive)" alive
	filled; old=$(members); for p in $(all_vm_pids); do kill -9 "$p"; done
	replaced() { both_ready && [ -z "$(members | comm -12 - <(echo "$old"))" ]; }
	until_true 30 replaced
}
t_the_pool_follows_the_shape_asked_for() {
	drun -m 1g busybox true
	until_true 60 sh -c "[ \$(grep 'is ready' $ROOT/arcad.log | grep -vc ' 512 MiB') -ge 2 ]"
	MIB=$(grep 'is ready' "$ROOT/arcad.log" | grep -v ' 512 MiB' | tail -1 | sed 's/.* and \([0-9]*\) MiB.*/\1/') filled
	local n; n=$(claims)
	eq "$(drun -m 1g busybox echo hi)" hi
	eq "$(claims)" $((n + 1))
	drun busybox true
}
t_a_killed_daemon_leaves_no_member_and_loses_no_container() {
	filled
	local n; n=$(claims)
	docker run -d --name ck --network none busybox sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done' >/dev/null
	eq "$(claims)" $((n + 1))
	local old; filled; old=$(members)
	arcad_kill9; arcad_start
	eq "$(members | comm -12 - <(echo "$old"))" ""
	eq "$(docker inspect -f '{{.State.Running}}' ck)" true
	eq "$(docker exec ck echo in)" in
	local m; m=$(docker logs ck | tail -1); eq "$(docker logs ck | head -"$m" | md5sum)" "$(seq "$m" | md5sum)"
	docker rm -f ck >/dev/null
}
t_a_daemon_killed_while_it_claims_comes_back_at_once() {
	local i t
	for i in 1 2 3 4 5; do
		filled; docker create --name "kc$i" --network none busybox sleep 1000 >/dev/null
		(curl -s --max-time 5 --unix-socket "$SOCK" -X POST "http://x/containers/kc$i/start" || true) &
		sleep "0.00$((2 * i))"; arcad_kill9; t=$SECONDS; arcad_start; [ $((SECONDS - t)) -le 5 ]
		docker rm -f "kc$i" >/dev/null
	done
}
t_a_stopped_daemon_leaves_no_member() {
	arcad_stop
	eq "$(all_vm_pids)" ""; eq "$(members)" ""
	arcad_start
}
t_a_rehearsal_that_fails_is_said_and_starts_go_on() {
	arcad_stop
	dd if=/dev/urandom of="$ROOT/noise" bs=64k count=1 2>/dev/null
	ARCAD_ARGS=(--rehearsal "$ROOT/noise"); arcad_start
	until_true 90 grep -q 'cannot make a VM for the pool.*no more are tried' "$ROOT/arcad.log"
	eq "$(drun busybox echo hi)" hi; eq "$(members)" ""
	arcad_stop
	ARCAD_ARGS=(--vm-pool 0); arcad_start
	local n; n=$(claims); eq "$(drun busybox echo hi)" hi; eq "$(claims)" "$n"; eq "$(members)" ""
}

echo '{}' >"$ROOT/daemon.json"
run_tests
