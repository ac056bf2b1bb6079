#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# containers that talk to each other: over the default bridge and networks of their own, live connect, isolation, restarts
. "$(dirname "$0")/../lib.sh"
echo '{}' >"$ROOT/daemon.json"
ip_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"${2:-mesh}\").IPAddress}}" "$1"; } # CONTAINER [NETWORK]
up() { docker run -d --name "$1" --network "${2:-mesh}" "${@:3}" busybox sleep 3600 >/dev/null; } # NAME [NETWORK [OPTION...]]
pings() { docker exec "$1" ping -c 1 -W "${3:-5}" "$2" >/dev/null; } # CONTAINER ADDRESS [SECONDS]
silent() { ! pings "$1" "$2" 2; }
listens() { docker exec "$1" sh -c "netstat -ltn | grep -q ':$2 '"; } # CONTAINER PORT
in_time() { until_true 15 pings "$1" "$2" 2; } # a peer that was told of it a moment ago

t_first_an_image_and_a_network() { image busybox; docker network create --subnet 10.71.0.0/24 mesh >/dev/null; docker network create --subnet 10.72.0.0/24 other >/dev/null; up aa; up bb; }
t_the_interface_is_what_inspect_shows() {
	local n; n=$(docker inspect aa | jq '.[0].NetworkSettings.Networks.mesh')
	eq "$(docker exec aa ip -o -4 addr show eth0 | awk '{print $4}')" "$(jq -r '"\(.IPAddress)/\(.IPPrefixLen)"' <<<"$n")"
	eq "$(docker exec aa cat /sys/class/net/eth0/address)" "$(jq -r .MacAddress <<<"$n")"; eq "$(docker exec aa ip route | awk '/^default/ {print $3, $5}')" "$(jq -r .Gateway <<<"$n") eth0"
	eq "$(docker exec aa ls /sys/class/net | sort | xargs)" "eth0 lo"
	eq "$(docker run --rm busybox cat /sys/class/net/eth0/mtu)" 1500; docker network create --opt com.docker.network.driver.mtu=1280 small >/dev/null; eq "$(docker run --rm --network small busybox cat /sys/class/net/eth0/mtu)" 1280; docker network rm small >/dev/null
}
t_peers_reach_each_other_both_ways() { pings aa "$(ip_of bb)"; pings bb "$(ip_of aa)"; pings aa 10.71.0.1; }
t_tcp_goes_through_whole() {
	docker exec -d bb sh -c 'sleep 60 | nc -l -p 5000 >/tmp/got'; until_true 20 listens bb 5000
	docker exec aa sh -c "head -c 3000000 /dev/urandom >/tmp/sent; (cat /tmp/sent; sleep 3) | nc $(ip_of bb) 5000; sha256sum </tmp/sent" >"$ROOT/sent"
	until_true 20 sh -c "[ \"\$('$DOCKER' exec bb sha256sum /tmp/got | cut -c1-64)\" = \"$(cut -c1-64 "$ROOT/sent")\" ]"
}
t_a_new_member_is_known_at_once() { up cc; pings cc "$(ip_of aa)"; pings aa "$(ip_of cc)"; }
t_in_a_network_of_many_the_first_packet_arrives() { # the new member is held (core/mesh_open.c); one of the others is mute
	docker network create --subnet 10.74.0.0/24 many >/dev/null; local i ip out; for i in 1 2 3 4 5 6; do up m$i many; done; docker pause m6 >/dev/null
	for i in 1 2 3 4 5; do
		out=$(docker run --rm --network many busybox nc -w 4 "$(ip_of m$i many)" 9 2>&1 || true); has "$out" refused # which only an answer says
	done
	up m7 many; ip=$(ip_of m7 many); until_true 2 pings m3 "$ip" 1; pings m7 "$(ip_of m1 many)" 1
	docker unpause m6 >/dev/null; in_time m6 "$ip"; pings m7 "$(ip_of m6 many)"; docker rm -f m7 >/dev/null; silent m3 "$ip"
	docker rm -f m1 m2 m3 m4 m5 m6 >/dev/null; docker network rm many >/dev/null
}
t_who_has_gone_is_forgotten() { local ip; ip=$(ip_of cc); docker rm -f cc >/dev/null; silent aa "$ip"; }
t_an_address_that_nobody_has_is_unreachable() { has "$(docker exec aa ping -c 1 -W 3 10.71.0.200 2>&1 || true)" "100% packet loss"; }
t_networks_are_apart() {
	up dd other; silent aa "$(ip_of dd other)"; silent dd "$(ip_of aa)"
	up ee other; docker network connect mesh ee; in_time ee "$(ip_of aa)"; pings ee "$(ip_of dd other)"
	# through a container that is on both
	docker exec ee sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' 2>/dev/null || true; docker exec dd ip route add 10.71.0.0/24 via "$(ip_of ee other)" 2>/dev/null || true
	silent dd "$(ip_of aa)"; silent aa "$(ip_of dd other)"
}
t_connect_and_disconnect_a_running_container() {
	docker network connect --ip 10.72.0.77 --alias second other aa; eq "$(docker exec aa ip -o -4 addr show eth1 | awk '{print $4}')" 10.72.0.77/24
	in_time dd 10.72.0.77; pings aa "$(ip_of dd other)"; eq "$(docker network inspect other | jq -r '[.[0].Containers[].Name] | sort | join(" ")')" "aa dd ee"
	docker network disconnect other aa; eq "$(docker exec aa ls /sys/class/net | sort | xargs)" "eth0 lo"; silent dd 10.72.0.77; pings aa "$(ip_of bb)"
	eq "$(docker inspect aa | jq -c '.[0].NetworkSettings.Networks | keys')" '["mesh"]'
}
t_several_networks_at_create() {
	docker create --name ff --network mesh busybox sleep 3600 >/dev/null; docker network connect other ff; docker start ff >/dev/null
	eq "$(docker exec ff ls /sys/class/net | sort | xargs)" "eth0 eth1 lo"; pings ff "$(ip_of aa)"; pings ff "$(ip_of dd other)"; docker rm -f ff >/dev/null
}
t_more_networks_than_keys_made_ahead_are_there_at_the_start() {
	local n turn; for n in 1 2 3 4 5 6 7; do docker network create --subnet 10.73.$n.0/24 m$n >/dev/null; done; up p5 m5; up p7 m7
	docker create --name many --network m1 busybox sh -c 'ls /sys/class/net | sort | xargs; ip -o -4 addr | grep -c "10\.73\."; sleep 3600' >/dev/null; for n in 2 3 4 5 6 7; do docker network connect m$n many; done
	for turn in 1 2; do docker start many >/dev/null; until_true 10 eval '[ "$(docker logs many | grep -c ^7)" = $turn ]'; eq "$(docker logs many 2>&1 | tail -2)" "eth0 eth1 eth2 eth3 eth4 eth5 eth6 lo"$'\n'7; in_time many "$(ip_of p7 m7)"; in_time p5 "$(ip_of many m5)"; docker stop -t 0 many >/dev/null; done
	docker rm -f many p5 p7 >/dev/null; for n in 1 2 3 4 5 6 7; do docker network rm m$n >/dev/null; done
}
t_a_stop_and_start_keeps_the_address() { local ip; ip=$(ip_of bb); docker restart -t 1 bb >/dev/null; eq "$(ip_of bb)" "$ip"; in_time aa "$ip"; pings bb "$(ip_of aa)"; }
t_ipv6() {
	docker network create --ipv6 --subnet fd12::/64 six >/dev/null; up g1 six; up g2 six
	local ip; ip=$(docker inspect -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}' g2); has "$ip" fd12::; docker exec g1 ping6 -c 1 -W 5 "$ip" >/dev/null || docker exec g1 ping -6 -c 1 -W 5 "$ip" >/dev/null
	docker rm -f g1 g2 >/dev/null; docker network rm six >/dev/null
}
t_internal_networks_lead_nowhere_else() {
	docker network create --internal --subnet 10.73.0.0/24 in >/dev/null; up i1 in; up i2 in; pings i1 "$(ip_of i2 in)"
	eq "$(docker exec i1 ip route | grep -c default || true)" 0; silent i1 198.18.0.1; docker rm -f i1 i2 >/dev/null; docker network rm in >/dev/null
}
t_none_and_host() {
	eq "$(docker run --rm --network none busybox ls /sys/class/net)" lo
	has "$(docker run --rm --network host busybox ip -4 -o addr show eth0)" "inet 198.18."; eq "$(docker run --rm --network host busybox hostname)" "$(hostname)"
}
t_keys_are_never_shown() { # nor in the database, nor in the log
	! grep -aqiE 'private.?key' "$ROOT/arcad.log"; eq "$(docker inspect aa | grep -ciE 'key"' || true)" "$(docker inspect aa | grep -ciE 'SandboxKey"' || true)"
}
t_killed_daemon_and_a_new_one() {
	local ip; ip=$(ip_of aa); docker exec -d bb sh -c "ping -i 1 $ip >/tmp/pings"; arcad_kill9; arcad_start
	pings bb "$ip"; pings aa "$(ip_of bb)"; up hh; in_time hh "$ip"; in_time aa "$(ip_of hh)"; docker rm -f hh >/dev/null; docker network connect other aa; in_time aa "$(ip_of dd other)"; docker network disconnect other aa
}
t_a_killed_vm_is_forgotten() { up kk; local ip; ip=$(ip_of kk); pings aa "$ip"; kill -9 "$(docker inspect -f '{{.State.Pid}}' kk)"; until_true 10 silent aa "$ip"; docker rm -f kk >/dev/null; }
t_keys_change_and_no_connection_breaks() {
	arcad_stop; ARCAD_ARGS+=(--network-key-rotation 2); arcad_start; local n; n=$(grep -c "has a new key" "$ROOT/arcad.log" || true)
	docker exec -d bb sh -c 'sleep 60 | nc -l -p 6000 >/tmp/lines'; until_true 20 listens bb 6000
	timeout 60 "$DOCKER" exec aa sh -c "(i=0; while [ \$i -lt 100 ]; do echo line \$i; i=\$((i + 1)); sleep 0.1; done; sleep 3) | nc $(ip_of bb) 6000"
	eq "$(docker exec bb sh -c 'md5sum </tmp/lines')" "$(for i in $(seq 0 99); do echo "line $i"; done | md5sum)"
	[ "$(grep -c "has a new key" "$ROOT/arcad.log")" -ge $((n + 6)) ]
}
t_nothing_is_left() { docker rm -f aa bb dd ee >/dev/null; docker network rm mesh other >/dev/null; }
run_tests
