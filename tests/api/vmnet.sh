#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# networks of the driver vmnet: plain Ethernet between VMs, guarded ports, live connect, isolation, restarts
. "$(dirname "$0")/../lib.sh"
echo '{"host-gateway-ips": ["172.17.0.1", "fd00:9::9"]}' >"$ROOT/daemon.json"
ip_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"${2:-flat}\").IPAddress}}" "$1"; } # CONTAINER [NETWORK]
mac_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"${2:-flat}\").MacAddress}}" "$1"; }
up() { docker run -d --name "$1" --network "${2:-flat}" "${@:3}" busybox sleep 3600 >/dev/null; } # NAME [NETWORK [OPTION...]]
pings() { docker exec "$1" ping -c 1 -W "${3:-5}" "$2" >/dev/null; } # CONTAINER ADDRESS [SECONDS]
silent() { ! pings "$1" "$2" 2; }
no() { ! "$@" >/dev/null 2>&1; } # `!` alone would not end a test
fetches() { has "$(printf 'GET / HTTP/1.0\r\n\r\n' | docker "${@:3}" timeout 5 nc "$1" "$2")" "200 OK"; } # ADDRESS PORT docker-words...
links() { docker exec "$1" ls /sys/class/net | sort | xargs; }
in_ns() { nsenter --net="$ROOT/exec/net/ns" "$@"; } # the underlay, where the bridges are
bridges() { in_ns ip -br link show type bridge | awk '{print $1}' | sort | xargs; }
taps() { in_ns ip -br link | awk '$1 ~ /^vt/ {print $1}' | wc -l; }
chains() { in_ns nft list chains netdev | grep -c 'chain vt' || true; }
bridge_of() { docker network inspect -f '{{.Id}}' "$1" | cut -c1-12 | sed 's/^/vn/'; }
nothing_left() { [ -z "$(bridges)" ] && [ "$(taps)" = 0 ] && [ "$(chains)" = 0 ]; }

t_first_an_image_and_a_network() { image busybox; docker network create -d vmnet --subnet 10.81.0.0/24 flat >/dev/null; docker network create -d vmnet --subnet 10.82.0.0/24 other >/dev/null; up aa; up bb; }
t_the_interface_is_what_inspect_shows() {
	local n; n=$(docker inspect aa | jq '.[0].NetworkSettings.Networks.flat')
	eq "$(docker exec aa ip -o -4 addr show eth0 | awk '{print $4}')" "$(jq -r '"\(.IPAddress)/\(.IPPrefixLen)"' <<<"$n")"
	eq "$(docker exec aa cat /sys/class/net/eth0/address)" "$(jq -r .MacAddress <<<"$n")"; eq "$(docker exec aa ip route | awk '/^default/ {print $3, $5}')" "$(jq -r .Gateway <<<"$n") eth0"
	eq "$(links aa)" "eth0 lo"; eq "$(docker exec aa cat /sys/class/net/eth0/mtu)" 9000
	docker network create -d vmnet --opt com.docker.network.driver.mtu=1280 small >/dev/null; eq "$(docker run --rm --network small busybox cat /sys/class/net/eth0/mtu)" 1280; docker network rm small >/dev/null
}
t_one_bridge_and_a_tap_each() { eq "$(bridges)" "$(bridge_of flat)"; eq "$(taps)" 2; eq "$(chains)" 2; }
t_members_reach_each_other_both_ways() { pings aa "$(ip_of bb)"; pings bb "$(ip_of aa)"; pings aa 10.81.0.1; docker exec aa ping -c 1 -W 5 -s 8900 "$(ip_of bb)" >/dev/null; }
t_nothing_is_between_their_cards() { # the other's own MAC, no hop in between
	docker exec aa ping -c 1 -W 5 "$(ip_of bb)" >/dev/null; has "$(docker exec aa cat /proc/net/arp)" "$(mac_of bb)"; eq "$(docker exec aa ping -c 1 -W 5 "$(ip_of bb)" | sed -n 's/.*ttl=\([0-9]*\).*/\1/p')" 64
}
t_broadcast_and_multicast_arrive() {
	docker exec aa arping -c 1 -w 5 -I eth0 "$(ip_of bb)" >/dev/null
	docker run -d --name cast --network flat --sysctl net.ipv4.icmp_echo_ignore_broadcasts=0 busybox sleep 3600 >/dev/null
	has "$(docker exec aa ping -b -c 1 -W 5 10.81.0.255 2>&1 || docker exec aa ping -c 1 -W 5 10.81.0.255 2>&1)" "from $(ip_of cast)"
	has "$(docker exec aa ping -c 1 -W 5 224.0.0.1 2>&1)" "from $(ip_of cast)"; docker rm -f cast >/dev/null
}
t_tcp_goes_through_whole() {
	docker exec -d bb sh -c 'sleep 15 | nc -l -p 5000 >/tmp/got'; sleep 1
	docker exec aa sh -c "head -c 20000000 /dev/urandom >/tmp/sent; (cat /tmp/sent; sleep 3) | nc $(ip_of bb) 5000; sha256sum </tmp/sent" >"$ROOT/sent"
	until_true 30 sh -c "[ \"\$('$DOCKER' exec bb sha256sum /tmp/got | cut -c1-64)\" = \"$(cut -c1-64 "$ROOT/sent")\" ]"
}
t_names_are_known() { has "$(docker exec aa nslookup bb 2>&1)" "$(ip_of bb)"; docker rename bb b2; until_true 5 sh -c "'$DOCKER' exec aa nslookup b2 | grep -q '$(ip_of b2)'"; docker rename b2 bb; }
t_the_forwarder_reaches_them() { # what is published goes from the namespace to the container's own address
	docker exec -d bb sh -c 'nc -l -p 7000 >/tmp/forwarded'; until_true 5 in_ns bash -c "echo from-outside >/dev/tcp/$(ip_of bb)/7000"; until_true 5 docker exec bb grep -q from-outside /tmp/forwarded
}
t_published_ports_reach_them() {
	docker run -d --name pp --network flat -p 127.0.0.1:8942:80 busybox sh -c 'mkdir /w; echo published >/w/index.html; exec httpd -f -h /w' >/dev/null
	until_true 10 sh -c 'curl -s -m 5 http://127.0.0.1:8942/ | grep -q published'; docker rm -f pp >/dev/null
}
t_networks_are_apart() {
	up dd other; silent aa "$(ip_of dd other)"; silent dd "$(ip_of aa)"; silent aa 10.82.0.1
	up ee other; docker network connect flat ee; pings ee "$(ip_of aa)"; pings ee "$(ip_of dd other)"; docker rm -f ee >/dev/null
}
t_the_underlay_is_out_of_reach() {
	local vm; vm=$(in_ns ip -br link | awk '$1 ~ /^a[0-9]/ {sub("@.*", "", $1); print substr($1, 2); exit}'); [ -n "$vm" ]
	silent aa 198.18.0.1; silent aa "198.18.$((vm / 256)).$((vm % 256))"; silent aa 198.19.255.1
	docker network create --subnet 10.83.0.0/24 mesh >/dev/null; up mm mesh; silent aa "$(ip_of mm mesh)"; silent mm "$(ip_of aa)"; docker rm -f mm >/dev/null; docker network rm mesh >/dev/null
}
t_connect_and_disconnect_a_running_container() {
	docker network connect --ip 10.82.0.77 other aa; eq "$(docker exec aa ip -o -4 addr show eth1 | awk '{print $4}')" 10.82.0.77/24
	pings dd 10.82.0.77; pings aa "$(ip_of dd other)"; eq "$(docker network inspect other | jq -r '[.[0].Containers[].Name] | sort | join(" ")')" "aa dd"
	docker network disconnect other aa; eq "$(links aa)" "eth0 lo"; silent dd 10.82.0.77; pings aa "$(ip_of bb)"
	docker network connect other aa; eq "$(links aa)" "eth0 eth1 lo"; pings aa "$(ip_of dd other)"; docker network disconnect other aa; eq "$(taps)" 3
}
t_with_a_mesh_beside_it() {
	docker network create --subnet 10.84.0.0/24 mesh >/dev/null; up m1 mesh; docker network connect flat m1; up m2 mesh
	pings m1 "$(ip_of aa)"; pings m1 "$(ip_of m2 mesh)"; eq "$(links m1)" "eth0 eth1 lo"; silent m2 "$(ip_of aa)"
	docker restart -t 1 m1 >/dev/null; pings m1 "$(ip_of aa)"; pings m1 "$(ip_of m2 mesh)"; docker rm -f m1 m2 >/dev/null; docker network rm mesh >/dev/null
}
t_eight_at_most() {
	local i; for i in $(seq 8); do docker network create -d vmnet "n$i" >/dev/null; docker network connect "n$i" bb 2>"$ROOT/err" || break; done
	eq "$i" 8; has "$(cat "$ROOT/err")" "room for 8 more network cards and containers"; eq "$(links bb)" "$(echo eth{0..7} lo)"
	for i in $(seq 7); do docker network disconnect "n$i" bb; done; for i in $(seq 8); do docker network rm "n$i" >/dev/null; done; eq "$(links bb)" "eth0 lo"; pings bb "$(ip_of aa)"
}
t_forged_senders_are_dropped() {
	local a b; a=$(ip_of aa); b=$(ip_of bb); up ff flat --cap-add NET_ADMIN; pings ff "$a"; docker exec ff arping -c 1 -w 5 -I eth0 "$a" >/dev/null
	docker exec ff ip addr add 10.81.0.200/24 dev eth0; no docker exec ff arping -c 2 -w 2 -s 10.81.0.200 -I eth0 "$a"; no docker exec ff ping -c 1 -W 2 -I 10.81.0.200 "$a"
	docker exec ff ip addr add "$b/32" dev eth0; no docker exec ff arping -c 2 -w 2 -s "$b" -I eth0 "$a"; docker exec ff arping -A -c 2 -w 2 -I eth0 -s "$b" "$b" >/dev/null 2>&1 || true
	docker exec aa cat /proc/net/arp >"$ROOT/arp"; no grep -E "^$b .*$(mac_of ff)" "$ROOT/arp"
	docker exec ff ip addr del "$b/32" dev eth0; docker exec ff ip addr del 10.81.0.200/24 dev eth0; pings aa "$b"; until_true 10 pings ff "$a"
	docker exec ff sh -c 'ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:99; ip link set eth0 up'; silent ff "$a"; docker rm -f ff >/dev/null
}
t_the_outside_is_reached() {
	local at; at=$(ip -4 -o addr show scope global | awk 'NR == 1 {sub("/.*", "", $4); print $4}'); [ -n "$at" ] || skip "the host has no address"
	python3 -m http.server --bind "$at" 8931 -d "$ROOT/docker-config" >/dev/null 2>&1 & trap "kill $!" EXIT; sleep 1
	docker network create -d vmnet --internal in >/dev/null; docker network create -d vmnet out >/dev/null; up oo out; up ii in
	fetches "$at" 8931 exec -i aa; fetches "$at" 8931 exec -i oo; no fetches "$at" 8931 exec -i ii
	has "$(docker exec aa nslookup -timeout=3 localhost 198.19.255.3 2>&1 || true)" "server can't find"
	docker rm -f oo ii >/dev/null; docker network rm in out >/dev/null
}
t_the_host_is_reached_by_who_asked() { # its loopback, by the names of host-gateway; by nobody else, whatever name that takes
	local host=(--add-host gw:host-gateway) get ip n
	python3 -u -m http.server --bind 127.0.0.1 8932 -d "$TESTS/images" >/dev/null 2>&1 & n=$!
	python3 -u -m http.server --bind ::1 8932 -d "$TESTS/images" >/dev/null 2>&1 & trap "kill $n $!" EXIT
	gets() { docker exec "$1" sh -c "(printf 'GET / HTTP/1.0\r\n\r\n'; sleep 3) | timeout 5 nc $2 8932" 2>&1 | grep -q make.sh; } # CONTAINER ADDRESS
	docker network create -d vmnet --ipv6 --subnet 10.86.0.0/24 --subnet fd86::/64 dual >/dev/null; docker network create -d vmnet --internal shut >/dev/null
	up asks dual "${host[@]}"; up plain dual; up shut shut "${host[@]}"; until_true 10 gets asks 172.17.0.1
	has "$(docker exec asks cat /etc/hosts)" "fd00:9::9	gw"; gets asks fd00:9::9
	for ip in 172.17.0.1 fd00:9::9 10.86.0.1 fd86::1 198.19.255.1 fd61:7263:61ff::1 ::ffff:127.0.0.1; do no gets plain "$ip"; no gets shut "$ip"; done
	[ -n "${NO_DAEMON:-}" ] || { arcad_kill9; arcad_start; gets asks 172.17.0.1; gets asks fd00:9::9; }
	docker network disconnect dual asks; docker network connect dual asks; gets asks 172.17.0.1; gets asks fd00:9::9; no gets plain 172.17.0.1
	docker restart -t 0 asks >/dev/null; gets asks 172.17.0.1; ip=$(ip_of asks dual); docker rm -f asks >/dev/null
	docker run -d --name heir --network dual --ip "$ip" busybox sleep 3600 >/dev/null; no gets heir 172.17.0.1; no gets heir fd00:9::9
	docker rm -f plain shut heir >/dev/null; docker network rm dual shut >/dev/null
}
t_its_first_packet_is_not_lost() { docker run --rm --network flat busybox ping -c 1 -W 1 "$(ip_of aa)" >/dev/null; }
t_internal_members_reach_each_other() {
	docker network create -d vmnet --internal --subnet 10.85.0.0/24 in >/dev/null; up i1 in; up i2 in; pings i1 "$(ip_of i2 in)"
	eq "$(docker exec i1 ip route | grep -c default || true)" 0; docker rm -f i1 i2 >/dev/null; docker network rm in >/dev/null
}
t_ipv6() {
	docker network create -d vmnet --ipv6 --subnet fd81::/64 six >/dev/null; up g1 six; up g2 six
	local ip; ip=$(docker inspect -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}' g2); has "$ip" fd81::
	docker exec g1 ping -6 -c 1 -W 5 "$ip" >/dev/null; docker exec g1 ping -6 -c 1 -W 5 "$(docker inspect -f '{{.NetworkSettings.Networks.six.IPv6Gateway}}' g1)" >/dev/null
	docker rm -f g1 g2 >/dev/null; docker network rm six >/dev/null
}
t_a_stop_and_start() { local ip; ip=$(ip_of bb); docker restart -t 1 bb >/dev/null; eq "$(ip_of bb)" "$ip"; pings aa "$ip"; pings bb "$(ip_of aa)"; eq "$(chains)" 3; }
t_killed_daemon_and_a_new_one() {
	local ip; ip=$(ip_of aa); arcad_kill9; arcad_start; pings bb "$ip"; pings aa "$(ip_of bb)"; up hh; pings hh "$ip"; pings aa "$(ip_of hh)"; docker rm -f hh >/dev/null
	docker network connect other aa; pings aa "$(ip_of dd other)"; arcad_kill9; arcad_start; docker network disconnect other aa; eq "$(links aa)" "eth0 lo"; eq "$(taps)" 3
}
t_a_stopped_daemon_leaves_them_alone() { arcad_stop; arcad_start; pings aa "$(ip_of bb)"; pings dd 10.82.0.1; }
t_a_killed_vm_leaves_nothing() { up kk; pings aa "$(ip_of kk)"; kill -9 "$(docker inspect -f '{{.State.Pid}}' kk)"; until_true 10 sh -c "[ \"\$('$DOCKER' inspect -f '{{.State.Running}}' kk)\" = false ]"; eq "$(taps) $(chains)" "3 3"; docker rm -f kk >/dev/null; }
t_what_died_without_a_daemon_is_swept_up() {
	local pid; pid=$(docker inspect -f '{{.State.Pid}}' dd); arcad_kill9; kill -9 "$pid"; arcad_start; until_true 10 sh -c "[ \"\$('$DOCKER' inspect -f '{{.State.Running}}' dd)\" = false ]"
	gone() { [ "$(bridges)" = "$(bridge_of flat)" ] && [ "$(chains)" = 2 ]; }; until_true 10 gone
}
t_nothing_is_left() { docker rm -f aa bb dd >/dev/null; until_true 10 nothing_left; docker network rm flat other >/dev/null; }
run_tests
