#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# create, start, stop, kill, wait, rm, restart, rename, update, prune, events
. "$(dirname "$0")/../lib.sh"
d() { docker run -d --network none "$@"; }
exit_code() { docker inspect -f '{{.State.ExitCode}}' "$1"; }

t_first_of_all_load() { image busybox; }
t_create_starts_no_vm() {
	docker create --network none --name made busybox echo hi >/dev/null
	eq "$(vm_pids)" ""; eq "$(docker inspect -f '{{.State.Status}}' made)" created
	eq "$(docker start -a made)" hi; eq "$(exit_code made)" 0
	eq "$(docker start -a made)" hi
	docker rm made >/dev/null; until_true 5 no_vms
}
t_the_upper_layer_lives_until_rm() {
	docker create --network none --name keep busybox sh -c 'cat /kept 2>/dev/null; echo again >>/kept' >/dev/null
	eq "$(docker start -a keep)" ""; eq "$(docker start -a keep)" again
	arcad_stop; arcad_start
	eq "$(docker start -a keep)" "$(printf 'again\nagain')"
	docker rm keep >/dev/null
}
t_start_and_stop_are_idempotent() {
	d --name box busybox sleep 300 >/dev/null
	eq "$(status POST /containers/box/start)" 304
	eq "$(status POST /containers/box/start -H 'Content-Type: application/json' -d '{"a":1}')" 304
	eq "$(status POST /containers/box/start -H 'Content-Type: application/json' -d '{"Binds":["/a:/b"]}')" 400
	has "$(api POST '/containers/box/stop?signal=BOGUS')" "cannot stop container: box: invalid signal: BOGUS"
	has "$(api POST '/containers/box/restart?signal=BOGUS')" "Cannot restart container box: invalid signal: BOGUS"
	eq "$(docker inspect -f '{{.State.Status}}' box)" running
	docker stop -t 1 box >/dev/null; eq "$(exit_code box)" 137
	eq "$(status POST /containers/box/stop)" 304; eq "$(status POST '/containers/box/stop?signal=BOGUS')" 304
	eq "$(status POST /containers/box/kill)" 409
	docker rm box >/dev/null
}
t_stop_sends_the_stop_signal_first() {
	d --name box busybox sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done' >/dev/null
	until_true 10 docker exec box true
	docker stop box >/dev/null; eq "$(exit_code box)" 9; docker rm box >/dev/null
	d --name box --stop-signal USR1 busybox sh -c 'trap "exit 8" USR1; while :; do sleep 0.1; done' >/dev/null
	until_true 10 docker exec box true
	docker stop box >/dev/null; eq "$(exit_code box)" 8; docker rm box >/dev/null
}
t_kill_takes_names_and_numbers() {
	d --name box busybox sh -c 'trap "exit 5" USR2; while :; do sleep 0.1; done' >/dev/null
	until_true 10 docker exec box true
	has "$(fails docker kill -s NOSUCH box)" "cannot kill container: box: invalid signal: NOSUCH"
	has "$(fails docker kill -s 0 box)" "cannot kill container: box: invalid signal: 0"
	has "$(fails docker kill -s 99 box)" "cannot kill container: box: the linux daemon does not support signal 99"
	eq "$(status POST '/containers/box/kill?signal=0')" 400; eq "$(docker inspect -f '{{.State.Status}}' box)" running
	docker kill -s SIGUSR2 box >/dev/null; eq "$(docker wait box)" 5; docker rm box >/dev/null
	d --name box busybox sleep 300 >/dev/null; docker kill -s 9 box >/dev/null; eq "$(docker wait box)" 137; docker rm box >/dev/null
}
t_wait_knows_its_conditions() {
	d --name box busybox sh -c 'sleep 1; exit 3' >/dev/null
	eq "$(api POST '/containers/box/wait?condition=next-exit' | jq -c .)" '{"StatusCode":3}'
	eq "$(api POST '/containers/box/wait?condition=not-running' | jq .StatusCode)" 3
	(api POST '/containers/box/wait?condition=removed' | jq .StatusCode >"$ROOT/removed") & local w=$!
	sleep 0.3; docker rm box >/dev/null; wait $w; eq "$(cat "$ROOT/removed")" 3
	d --name box busybox true >/dev/null
	eq "$(status POST '/containers/box/wait?condition=nonsense')" 400
	docker rm -f box >/dev/null
}
t_rm_wants_force_for_a_running_one() {
	local id; id=$(d --name box busybox sleep 300)
	has "$(fails docker rm box)" "cannot remove container \"box\": container is running: stop the container before removing or force remove"
	docker rm -f box >/dev/null; until_true 5 no_vms
	[ ! -e "$ROOT/data/containers/$id" ]
}
t_rm_flag_removes_at_exit() {
	local id; id=$(d --rm busybox true)
	until_true 10 fails docker inspect "$id"
}
t_pause_freezes() {
	d --name box busybox sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done' >/dev/null
	until_true 10 sh -c "$DOCKER logs box | grep -q 3"
	docker pause box >/dev/null; sleep 0.5; local a; a=$(docker logs box | tail -1); sleep 0.5; eq "$(docker logs box | tail -1)" "$a"
	has "$(docker ps)" "(Paused)"; has "$(fails docker exec box true)" "is paused"
	docker unpause box >/dev/null; until_true 10 sh -c "[ \$($DOCKER logs box | tail -1) -gt $a ]"
	docker rm -f box >/dev/null
}
t_restart_rename_update() {
	d --name box busybox sh -c 'echo up; sleep 300' >/dev/null
	until_true 10 logs_have box up
	docker restart -t 0 box >/dev/null; until_true 10 sh -c "[ \$($DOCKER logs box | wc -l) = 2 ]"
	docker rename box boy; eq "$(docker inspect -f '{{.Name}}' boy)" /boy; fails docker inspect box >/dev/null
	docker update -m 100m --memory-swap 200m boy >/dev/null
	eq "$(docker exec boy cat /sys/fs/cgroup/memory.max)" 104857600
	docker rm -f boy >/dev/null
}
t_prefixes_find_and_ambiguity_is_an_error() {
	local id; id=$(docker create --network none busybox true)
	eq "$(docker inspect -f '{{.Id}}' "${id:0:12}")" "$id"; eq "$(docker inspect -f '{{.Id}}' "${id:0:5}")" "$id"
	docker rm "$id" >/dev/null
	local i ids=(); for i in $(seq 18); do ids+=("$(docker create --network none busybox true)"); done
	local p; p=$(printf '%s\n' "${ids[@]}" | cut -c1 | sort | uniq -d | head -1)
	has "$(api GET "/containers/$p/json")" "multiple IDs found with provided prefix: $p"
	docker rm "${ids[@]}" >/dev/null
}
t_events_tell_the_story() {
	local since; since=$(date +%s)
	docker run --name storyteller --network none -l k=v busybox sh -c 'exit 4' || true
	docker rm storyteller >/dev/null
	docker events --since "$since" --until "$(($(date +%s) + 1))" --filter container=storyteller --format '{{.Action}} {{.Actor.Attributes.exitCode}}' >"$ROOT/ev"
	eq "$(cut -d' ' -f1 "$ROOT/ev" | xargs)" "create attach start die destroy"
	has "$(cat "$ROOT/ev")" "die 4"
}
t_events_of_an_exec_name_its_command() {
	local since; since=$(date +%s)
	d --name box busybox sleep 300 >/dev/null; docker exec box true; docker exec box sh -c 'exit 0'; docker rm -f box >/dev/null
	eq "$(api GET "/events?since=$since&until=$(($(date +%s) + 1))" | jq -c 'select(.Action | startswith("exec_c")) | .Action' | xargs -d '\n')" \
		'"exec_create: true " "exec_create: sh -c exit 0"'
}
t_ps_filters_and_order() {
	docker create --name p1 --network none -l x=1 busybox true >/dev/null; docker create --name p2 --network none -l x=2 busybox true >/dev/null
	eq "$(docker ps -a --filter name=p --format '{{.Names}}' | xargs)" "p2 p1"
	eq "$(docker ps -a --filter label=x=1 --format '{{.Names}}')" p1
	eq "$(docker ps -a --filter status=created --filter before=p2 --format '{{.Names}}')" p1
	eq "$(docker ps -aq --filter status=running)" ""
	eq "$(docker ps -a -n 1 --format '{{.Names}}')" p2
	docker container prune -f --filter label=x=1 >/dev/null; fails docker inspect p1 >/dev/null
	docker rm p2 >/dev/null
}
t_a_port_that_is_none_does_not_spoil_the_list() {
	local ports='{"99999/tcp":{},"abc":{},"80/foo":{},"90-95/tcp":{},"-1":{},"0/tcp":{},"":{},"81/udp":{}}'
	eq "$(status POST '/containers/create?name=ports' -H 'Content-Type: application/json' -d '{"Image":"busybox","Cmd":["sleep","300"],"ExposedPorts":'"$ports"'}')" 201
	docker ps -a >/dev/null; eq "$(api GET '/containers/json?all=1' | jq -c '.[].Ports')" '[]'
	docker start ports >/dev/null; docker ps >/dev/null
	eq "$(api GET '/containers/json?all=1' | jq -c '.[].Ports')" '[{"PrivatePort":81,"Type":"udp"}]'
	eq "$(docker inspect -f '{{json .Config.ExposedPorts}}' ports | jq -c length)" 8
	docker rm -f ports >/dev/null
}
t_sizes_are_what_was_written() {
	docker create --name size --network none busybox sh -c 'dd if=/dev/zero of=/x bs=1M count=5 2>/dev/null' >/dev/null
	eq "$(docker inspect -s -f '{{.SizeRw}}' size)" 0; has "$(docker ps -as)" "0B (virtual "
	docker start -a size; until_true 5 no_vms
	local n; n=$(docker inspect -s -f '{{.SizeRw}}' size); [ "$n" -ge 5242880 ] && [ "$n" -lt 5500000 ]
	eq "$(api POST '/containers/prune' | jq .SpaceReclaimed)" "$n"
	d --name size busybox sleep 300 >/dev/null; docker stop -t 0 size >/dev/null; until_true 5 no_vms
	[ "$(docker inspect -s -f '{{.SizeRw}}' size)" -lt 65536 ]; docker rm size >/dev/null
}
t_filters_say_what_is_wrong_with_them() {
	ps_filter() { api GET "/containers/json?all=1" -G --data-urlencode "filters=$1" | jq -r .message; }
	eq "$(ps_filter '{"status":["x"]}')" "invalid filter 'status=x': invalid value for state (x): must be one of created, running, paused, restarting, removing, exited, dead"
	eq "$(ps_filter '{"exited":["x"]}')" "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"
	eq "$(ps_filter '{"health":["x"]}')" "invalid filter 'health=x': invalid value for health (x): must be one of none, starting, healthy, unhealthy"
	eq "$(ps_filter '{"is-task":["x"]}')" "invalid filter 'is-task=[x]'"
	eq "$(ps_filter '{"expose":["abc"]}')" "error while looking up for expose abc: strconv.ParseUint: parsing \"abc\": invalid syntax"
	eq "$(ps_filter '{"publish":["99999/tcp"]}')" "error while looking up for publish 99999/tcp: strconv.ParseUint: parsing \"99999\": value out of range"
	eq "$(ps_filter '{"expose":["90-80"]}')" "error while looking up for expose 90-80: Invalid range specified for the Port: 90-80"
	eq "$(ps_filter '{"publish":[""]}')" "error while looking up for publish : Empty string specified for ports."
	docker create --name exposed --network none --expose 85/udp busybox true >/dev/null
	eq "$(docker ps -a --filter expose=80-90/udp --format '{{.Names}}')" exposed; eq "$(docker ps -aq --filter expose=85)" ""
	docker rm exposed >/dev/null
}
t_inspect_gives_back_what_was_set() {
	docker create --name ins --network none -e A=b -l l=1 -w /w -u 5:6 --hostname h --read-only -m 64m --cpus 1.5 --pids-limit 9 \
		--cap-add SYS_TIME --cap-drop MKNOD --tmpfs /t:size=1m --shm-size 1m --ulimit nofile=5:6 --sysctl net.ipv4.ip_forward=1 --init \
		--restart on-failure:3 --stop-signal INT --stop-timeout 7 --log-opt max-size=1m --dns 1.2.3.4 --add-host q:1.1.1.1 \
		--oom-score-adj 100 --entrypoint /bin/echo busybox a b >/dev/null
	docker inspect ins >"$ROOT/i"
	jq -e '.[0] | .Config.Env[0] == "A=b" and .Config.Labels.l == "1" and .Config.WorkingDir == "/w" and .Config.User == "5:6"
		and .Config.Hostname == "h" and .Config.Entrypoint == ["/bin/echo"] and .Config.Cmd == ["a","b"] and .Config.StopSignal == "INT"
		and .Config.StopTimeout == 7 and .Path == "/bin/echo" and .Args == ["a","b"] and .Driver != null' "$ROOT/i" >/dev/null
	jq -e '.[0].HostConfig | .ReadonlyRootfs and .Memory == 67108864 and .NanoCpus == 1500000000 and .PidsLimit == 9 and (.CapAdd[0] | endswith("SYS_TIME"))
		and (.CapDrop[0] | endswith("MKNOD")) and .Tmpfs["/t"] == "size=1m" and .ShmSize == 1048576 and .Ulimits[0].Hard == 6
		and .Sysctls["net.ipv4.ip_forward"] == "1" and .Init and .RestartPolicy.Name == "on-failure" and .RestartPolicy.MaximumRetryCount == 3
		and .LogConfig.Config["max-size"] == "1m" and .Dns == ["1.2.3.4"] and .ExtraHosts == ["q:1.1.1.1"] and .OomScoreAdj == 100' "$ROOT/i" >/dev/null
	docker rm ins >/dev/null
}
t_twenty_at_once() {
	local i pids=()
	for i in $(seq 20); do docker run --rm --network none busybox echo "number $i" >"$ROOT/n$i" & pids+=($!); done
	for i in "${pids[@]}"; do wait "$i"; done
	for i in $(seq 20); do eq "$(cat "$ROOT/n$i")" "number $i"; done
	until_true 10 no_vms
}

echo '{}' >"$ROOT/daemon.json"
run_tests
