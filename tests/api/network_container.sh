#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --network container:X: several containers in one VM, each with its own root, life and exit; words as dockerd's
. "$(dirname "$0")/../lib.sh"
echo '{}' >"$ROOT/daemon.json"
create() { api POST /containers/create -H 'Content-Type: application/json' -d "{\"Image\":\"busybox\",$1}" | jq -r '.message // .Id'; } # BODY: refusal, or id
up() { docker run -d --name "$1" --network "${2:-mesh}" "${@:3}" busybox sleep 3600 >/dev/null; } # NAME [NETWORK [OPTION...]]
joined() { up "$1" "container:$2" "${@:3}"; } # NAME OTHER [OPTION...]
addresses() { docker exec "$1" ip -o -4 addr | awk '{print $2, $4}' | xargs; }
vms() { vm_pids | wc -l; }
row() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute(sys.argv[2])); c.commit()' "$ROOT/data/arca.db" "$1"; } # SQL
left() { eq "$(row "SELECT vm FROM containers WHERE name LIKE '%$1'")" '(0,)'; }
alone() { [ "$(addresses "$1")" = 'lo 127.0.0.1/8' ]; }
check() { "$BUILD/arcad" --data-root "$ROOT/data" --exec-root "$ROOT/exec" --config-file "$ROOT/daemon.json" --network-check >"$ROOT/check" 2>&1 || { cat "$ROOT/check"; return 1; }; }
full() { docker inspect -f '{{.Id}}' "$1"; }

t_first_an_image_and_a_network() { image busybox; docker network create --subnet 10.73.0.0/24 mesh >/dev/null; up aa; up other; }
t_what_it_cannot_ask_for() {
	local m='"HostConfig":{"NetworkMode":"container:zz"}' b='"HostConfig":{"NetworkMode":"container:zz",'
	eq "$(create "\"Hostname\":\"h\",$m")" 'conflicting options: hostname and the network mode'
	eq "$(create "\"ExposedPorts\":{\"80/tcp\":{}},$m")" 'conflicting options: port exposing and the container type network mode'
	eq "$(create "$b\"Dns\":[\"1.1.1.1\"]}")" 'conflicting options: dns and the network mode'
	eq "$(create "$b\"ExtraHosts\":[\"a:1.1.1.1\"]}")" 'conflicting options: custom host-to-IP mapping and the network mode'
	eq "$(create "$b\"Links\":[\"a:b\"]}")" "conflicting options: container type network can't be used with links. This would result in undefined behavior"
	eq "$(create "$b\"PublishAllPorts\":true}")" 'conflicting options: port publishing and the container type network mode'
	eq "$(create "$b\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"80\"}]}}")" 'conflicting options: port publishing and the container type network mode'
	eq "$(create '"HostConfig":{"NetworkMode":"container:"}')" 'invalid network mode: invalid container format container:<name|id>'
	eq "$(create '"HostConfig":{"NetworkMode":"container"}')" 'invalid network mode: invalid container format container:<name|id>'
}
t_the_other_has_to_run() {
	has "$(fails docker run --name bb --network container:nope busybox true)" 'joining network namespace of container: No such container: nope'; docker rm bb >/dev/null
	docker create --name cold busybox true >/dev/null; has "$(fails docker run --name bb --network container:cold busybox true)" 'cannot join network namespace of a non running container: container cold is created'
	eq "$(docker inspect -f '{{.HostConfig.NetworkMode}} {{.State.Status}} {{.State.ExitCode}}' bb)" "container:$(full cold) created 128"
	docker rename bb cc; docker rm cc cold >/dev/null
	docker create --name me --network container:me busybox true >/dev/null; has "$(fails docker start me)" 'cannot join own network namespace'; docker rm me >/dev/null
}
t_it_has_the_others_network_and_a_root_of_its_own() {
	local n; n=$(vms); joined bb aa; eq "$(vms)" "$n"
	eq "$(addresses bb)" "$(addresses aa)"; has "$(addresses bb)" 'eth0 10.73.0.2/24'; eq "$(docker exec bb hostname)" "$(docker exec aa hostname)"; eq "$(docker exec bb cat /etc/hosts)" "$(docker exec aa cat /etc/hosts)"
	eq "$(docker exec bb ls /sys/class/net | xargs)" 'eth0 lo'
	docker exec aa sh -c 'echo a >/mark'; docker exec bb sh -c '[ ! -e /mark ] && echo b >/mark'; eq "$(docker exec aa cat /mark)" a
	eq "$(docker exec bb ps | grep -c sleep)" 1 # nor the other's processes
	docker exec bb ping -c 1 -W 5 other >/dev/null; docker exec other ping -c 1 -W 5 aa >/dev/null
	docker exec -d aa sh -c 'nc -l -p 7000 >/got'; until_true 10 docker exec bb sh -c 'echo hi | nc 127.0.0.1 7000'; until_true 10 docker exec aa grep -qx hi /got
}
t_inspect_and_list() {
	eq "$(docker inspect bb | jq -c '.[0]|[.HostConfig.NetworkMode,.NetworkSettings.SandboxID,.NetworkSettings.SandboxKey,.NetworkSettings.Networks,.NetworkSettings.Ports]')" "[\"container:$(full aa)\",\"\",\"\",{},{}]"
	eq "$(docker inspect -f '{{.HostsPath}} {{.ResolvConfPath}} {{.HostnamePath}}' bb)" "$(docker inspect -f '{{.HostsPath}} {{.ResolvConfPath}} {{.HostnamePath}}' aa)"
	eq "$(docker network inspect mesh | jq -r '[.[0].Containers[].Name]|sort|join(" ")')" 'aa other'
	eq "$(docker inspect -f '{{.State.Pid}}' bb)" "$(docker inspect -f '{{.State.Pid}}' aa)"
}
t_connect_is_the_others() {
	has "$(fails docker network connect bridge bb)" 'container sharing network namespace with another container or host cannot be connected to any other network'
	docker network create --subnet 10.74.0.0/24 late >/dev/null; docker network connect late aa; has "$(addresses bb)" 'eth1 10.74.0.2/24'; docker network disconnect late aa; lacks "$(addresses bb)" eth1; docker network rm late >/dev/null
}
t_what_is_published_of_the_other() {
	up web mesh -p 127.0.0.1::8080; joined serve web; docker exec -d serve sh -c 'while :; do printf "HTTP/1.0 200 OK\r\n\r\nserved" | nc -l -p 8080; done'
	until_true 15 sh -c "[ \"\$(curl -s http://$(docker port web 8080))\" = served ]"; eq "$(docker port serve)" ''; docker rm -f serve web >/dev/null
}
t_exit_codes_and_output_are_its_own() {
	eq "$(docker run --rm --network container:aa busybox echo hello)" hello; local r=0; docker run --rm --network container:aa busybox sh -c 'exit 7' || r=$?; eq "$r" 7
	eq "$(echo in | docker run --rm -i --network container:aa busybox cat)" in; has "$(fails docker run --rm --network container:aa busybox nosuch)" 'exec: "nosuch": executable file not found in $PATH'
	eq "$(docker ps -a --format '{{.Names}}' | sort | xargs)" 'aa bb other'
}
t_many_one_after_another() { local i; for i in $(seq 12); do eq "$(docker run --rm --network container:aa busybox echo "$i")" "$i"; done; }
t_no_more_than_there_is_room() {
	local i; for i in $(seq 7); do joined "j$i" aa; done; eq "$(docker exec j7 cat /proc/mounts | grep -c ' / ')" 1
	has "$(fails docker run --name j8 --network container:aa busybox true)" 'room for 8 more network cards and containers'
	docker rm -f j1 j8 >/dev/null; docker run --rm --network container:aa busybox true; docker rm -f j2 j3 j4 j5 j6 j7 >/dev/null; docker exec bb true
}
t_files_stay_over_its_restarts() {
	docker exec bb sh -c 'head -c 3000000 /dev/urandom >/big; sha256sum </big >/sum'; docker restart -t 0 bb >/dev/null; eq "$(docker exec bb sh -c 'sha256sum </big')" "$(docker exec bb cat /sum)"; eq "$(addresses bb)" "$(addresses aa)"
}
t_state_and_kernel_agree() { check; has "$(cat "$ROOT/check")" " aa "; }
t_a_chain() { joined cc bb; eq "$(addresses cc)" "$(addresses aa)"; eq "$(docker inspect -f '{{.HostConfig.NetworkMode}}' cc)" "container:$(full bb)"; docker rm -f cc >/dev/null; }
t_pause_is_its_own() { docker pause aa >/dev/null; docker exec bb true; docker run --rm --network container:aa busybox true; docker unpause aa >/dev/null; docker pause bb >/dev/null; docker exec aa true; docker unpause bb >/dev/null; }
t_it_outlives_the_other() {
	docker exec aa sh -c 'head -c 2000000 /dev/urandom >/big; sha256sum </big >/sum'; docker stop -t 0 aa >/dev/null
	eq "$(docker inspect -f '{{.State.Running}}' bb)" true; eq "$(addresses bb)" 'lo 127.0.0.1/8'; docker exec bb sh -c 'sha256sum </big' >/dev/null; eq "$(docker network inspect mesh | jq -r '[.[0].Containers[].Name]|join(" ")')" other
	docker start aa >/dev/null; eq "$(addresses aa)" 'lo 127.0.0.1/8 eth0 10.73.0.2/24'; eq "$(addresses bb)" 'lo 127.0.0.1/8'; eq "$(docker exec aa sh -c 'sha256sum </big')" "$(docker exec aa cat /sum)"
	docker exec other ping -c 1 -W 5 aa >/dev/null; docker restart -t 0 bb >/dev/null; eq "$(addresses bb)" "$(addresses aa)"; eq "$(vms)" 2
}
t_limits_are_its_own() { docker run --rm --network container:aa --memory 32m --pids-limit 50 busybox sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max' | xargs | grep -qx '33554432 50'; }
t_a_daemon_that_is_killed_finds_both() {
	arcad_kill9; arcad_start; eq "$(addresses bb)" "$(addresses aa)"; docker exec bb ping -c 1 -W 5 other >/dev/null
	eq "$(docker run --rm --network container:aa busybox echo again)" again; docker restart -t 0 bb >/dev/null; eq "$(addresses bb)" "$(addresses aa)"; eq "$(vms)" 2
}
t_a_daemon_that_is_killed_when_the_other_has_gone() {
	docker stop -t 0 aa >/dev/null; arcad_kill9; arcad_start; docker exec bb sh -c 'sha256sum </big' >/dev/null; eq "$(docker inspect -f '{{.State.Status}}' aa)" exited
	docker start aa >/dev/null; arcad_kill9; arcad_start; docker exec aa true; docker exec bb true; eq "$(vms)" 3; docker restart -t 0 bb >/dev/null; eq "$(vms)" 2
}
t_who_ends_while_no_daemon_is_there() {
	docker run -d --name brief --network container:aa busybox sh -c 'sleep 2; exit 9' >/dev/null; arcad_kill9; sleep 3; arcad_start; eq "$(docker wait brief)" 9; docker exec aa true; docker exec bb true; docker rm brief >/dev/null
}
t_a_daemon_that_is_killed_before_it_knows_that_the_other_has_left() {
	up ff; joined gg ff; docker stop -t 0 ff >/dev/null; until_true 10 left ff
	arcad_kill9; row "UPDATE containers SET vm = 2, vm_joined = 0, vm_id = (SELECT vm_id FROM containers WHERE name LIKE '%gg') WHERE name LIKE '%ff'"; arcad_start
	docker exec gg true; docker start ff >/dev/null; docker rm -f ff gg >/dev/null
}
t_the_others_removal_is_not_its_own() {
	docker rm -f aa >/dev/null; docker exec bb true; local r; r=$(fails docker restart -t 0 bb); has "$r" 'Cannot restart container bb: joining network namespace of container: No such container'
	docker rm bb >/dev/null; eq "$(vms)" 1
}
t_a_vm_that_dies_takes_all() {
	up aa; joined bb aa; kill -9 "$(docker inspect -f '{{.State.Pid}}' aa)"; eq "$(docker wait aa bb | xargs)" '137 137'; docker start aa bb >/dev/null; eq "$(addresses bb)" "$(addresses aa)"
}
t_ending_both_at_once_loses_nothing() {
	local i; for i in 1 2 3; do
		docker exec aa sh -c 'head -c 4000000 /dev/urandom >/big; sha256sum </big >/sum'; docker exec bb sh -c 'head -c 4000000 /dev/urandom >/big; sha256sum </big >/sum'
		docker stop -t 0 aa >/dev/null & docker stop -t 0 bb >/dev/null; wait $!; until_true 10 sh -c "[ \"\$('$DOCKER' inspect -f '{{.State.Running}}' aa bb | xargs)\" = 'false false' ]"; docker start aa >/dev/null; docker start bb >/dev/null
		for c in aa bb; do eq "$(docker exec $c sh -c 'sha256sum </big')" "$(docker exec $c cat /sum)"; done
	done
}
t_restart_policies_wait_for_the_other() {
	up ra mesh --restart always; joined rb ra --restart always; kill -9 "$(docker inspect -f '{{.State.Pid}}' ra)"
	until_true 20 sh -c "[ \"\$('$DOCKER' inspect -f '{{.State.Status}} {{.RestartCount}}' ra rb | xargs)\" = 'running 1 running 1' ]"; eq "$(addresses rb)" "$(addresses ra)"
	arcad_stop; for p in $(all_vm_pids); do kill -9 "$p"; done; arcad_start; until_true 20 sh -c "[ \"\$('$DOCKER' inspect -f '{{.State.Status}}' ra rb | xargs)\" = 'running running' ]"; eq "$(addresses rb)" "$(addresses ra)"; docker rm -f ra rb >/dev/null
}
t_networks_of_every_kind() {
	local n; for n in none host; do up "w$n" $n; joined "v$n" "w$n"; eq "$(docker exec "v$n" ls /sys/class/net | xargs)" "$(docker exec "w$n" ls /sys/class/net | xargs)"; docker rm -f "w$n" "v$n" >/dev/null; done
	docker network create -d vmnet --subnet 10.75.0.0/24 plain >/dev/null; up w1 plain; up w2 plain; joined v1 w1; docker exec v1 ping -c 1 -W 5 w2 >/dev/null; docker stop -t 0 w1 >/dev/null; until_true 10 alone v1; check
	docker start w1 >/dev/null; docker exec w2 ping -c 1 -W 5 w1 >/dev/null; docker rm -f w1 w2 v1 >/dev/null; docker network rm plain >/dev/null
}
t_nothing_is_left() { docker rm -f aa bb other >/dev/null; until_true 10 no_vms; }
run_tests
