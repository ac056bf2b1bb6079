#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the daemon: VMs go on, no line is lost, exit codes are right, attach and exec work afterwards
. "$(dirname "$0")/../lib.sh"
DOCKER_TIMEOUT=240 # thousands of lines out of an emulated CPU
d() { docker run -d --network none "$@"; }

t_first_of_all_load() { image busybox; }
t_vms_outlive_a_killed_daemon() {
	d --name printing busybox sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo "line $i"; usleep 2000; done; sleep 300' >/dev/null
	d --name idle -i busybox cat >/dev/null
	d --name dying busybox sh -c 'sleep 6; echo last words; exit 17' >/dev/null
	local vms; vms=$(vm_pids | sort | xargs); eq "$(wc -w <<<"$vms")" 3
	arcad_kill9
	sleep 6.5
	eq "$(vm_pids | wc -l)" 3
	arcad_start
	eq "$(docker inspect -f '{{.State.Status}}' printing idle | xargs)" "running running"
	until_true 10 eval 'eq "$(docker inspect -f "{{.State.Status}} {{.State.ExitCode}}" dying)" "exited 17"'
	eq "$(docker logs dying)" "last words"
	until_true 90 sh -c "$DOCKER logs printing | grep -qx 'line 2000'"
	eq "$(docker logs printing | md5sum)" "$(seq -f 'line %.0f' 2000 | md5sum)"
	eq "$(docker exec idle echo still)" still
	eq "$( (echo typed; sleep 2) | timeout -k 1 4 "$DOCKER" attach --sig-proxy=false idle || true)" typed
	docker stop -t 1 printing >/dev/null; docker rm -f printing idle dying >/dev/null
	until_true 10 no_vms
}
t_killed_again_and_again_while_it_prints() {
	d --name cp busybox sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "$i aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; echo "e$i" >&2; usleep 1000; done' >/dev/null
	local n; for n in 1 2 3 4 5; do sleep 0.3; arcad_kill9; arcad_start; done
	eq "$(docker wait cp)" 0
	eq "$(docker logs cp 2>/dev/null | cut -d' ' -f1 | md5sum)" "$(seq 3000 | md5sum)"
	eq "$(docker logs cp 2>&1 >/dev/null | md5sum)" "$(seq -f 'e%.0f' 3000 | md5sum)"
	docker rm cp >/dev/null
}
t_an_exec_outlives_the_daemon() {
	d --name ce busybox sleep 300 >/dev/null
	local x; x=$(api POST /containers/ce/exec -H 'Content-Type: application/json' -d '{"Cmd":["sh","-c","sleep 2; exit 5"]}' | jq -r .Id)
	api POST "/exec/$x/start" -H 'Content-Type: application/json' -d '{"Detach":true}' >/dev/null
	arcad_kill9; arcad_start
	until_true 15 sh -c "curl -s --unix-socket $SOCK http://x/exec/$x/json | jq -e '.ExitCode == 5'"
	docker rm -f ce >/dev/null
}
t_a_lost_vm_is_noticed_and_its_files_kept() {
	d --name cv busybox sh -c 'echo precious >/file; sync; sleep 300' >/dev/null; sleep 1
	kill -9 "$(docker inspect -f '{{.State.Pid}}' cv)"
	eq "$(docker wait cv)" 137; eq "$(docker inspect -f '{{.State.Status}}' cv)" exited
	docker rm cv >/dev/null
	docker create --name cv --network none busybox sh -c 'cat /file; echo precious >/file; sync; sleep 300' >/dev/null; docker start cv >/dev/null; sleep 1.5
	arcad_kill9; kill -9 "$(vm_pids)"; arcad_start
	eq "$(docker inspect -f '{{.State.Status}}' cv)" exited; [ "$(docker inspect -f '{{.State.ExitCode}}' cv)" != 0 ]
	docker start cv >/dev/null; until_true 10 logs_have cv precious
	docker rm -f cv >/dev/null
}
t_what_is_three_seconds_old_survives_the_vm() {
	d --name cw busybox sh -c 'cat /f.* 2>/dev/null; i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo "written $i" >/f.$i; done; echo done; sleep 300' >/dev/null
	until_true 30 logs_have cw done
	sleep 3.5
	kill -9 "$(docker inspect -f '{{.State.Pid}}' cw)"; docker wait cw >/dev/null
	docker start cw >/dev/null; until_true 30 sh -c "[ \$($DOCKER logs cw | grep -c done) = 2 ]"
	eq "$(docker logs cw | grep -a -v done | sort | md5sum)" "$(seq -f 'written %.0f' 60 | sort | md5sum)"
	docker rm -f cw >/dev/null
}
t_a_vm_that_does_not_answer_holds_nobody_up() {
	local pid waiting
	d --name mute busybox sleep 300 >/dev/null; d --name well busybox sleep 300 >/dev/null
	pid=$(docker inspect -f '{{.State.Pid}}' mute)
	arcad_kill9; kill -STOP "$pid"
	arcad_start # gives up after 10 s; a VM is given 20
	eq "$(docker exec well echo ok)" ok
	eq "$(docker inspect -f '{{.State.Status}}' mute)" running
	docker exec mute echo late >"$ROOT/late" & waiting=$!
	sleep 0.5; [ ! -s "$ROOT/late" ]
	kill -CONT "$pid"; wait "$waiting"; eq "$(cat "$ROOT/late")" late
	docker rm -f mute well >/dev/null
}
t_a_stopped_daemon_leaves_vms_alone() {
	d --name cs busybox sleep 300 >/dev/null
	arcad_stop; eq "$(vm_pids | wc -l)" 1
	# QEMU's output is a pipe whose reader was the daemon: a SIGPIPE must not be its end
	[ $((0x$(awk '/^SigIgn/ {print $2}' "/proc/$(vm_pids)/status") >> 12 & 1)) = 1 ]; has "$(readlink "/proc/$(vm_pids)/fd/2")" pipe:
	arcad_start
	eq "$(docker exec cs echo ok)" ok; docker rm -f cs >/dev/null
	until_true 10 no_vms; eq "$(find "$ROOT/exec/vm" -mindepth 1 -maxdepth 1 ! -name "pool-*")" ""
}

echo '{}' >"$ROOT/daemon.json"
run_tests
