#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# icc.sh - networks whose members do not reach each other: names, ports and the way out stay; restarts change nothing
. "$(dirname "$0")/../lib.sh"
echo '{}' >"$ROOT/daemon.json"
OFF=com.docker.network.bridge.enable_icc=false
ip_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"${2:-apart}\").IPAddress}}" "$1"; } # CONTAINER [NETWORK]
up() { docker run -d --name "$1" --network "${2:-apart}" --cap-add NET_ADMIN "${@:3}" busybox sh -c 'mkdir /w; hostname >/w/index.html; httpd -h /w; exec sleep 3600' >/dev/null; } # NAME [NETWORK [OPTION...]]
pings() { docker exec "$1" ping -c 1 -W "${3:-5}" "$2" >/dev/null; } # CONTAINER ADDRESS [SECONDS]
no() { ! "$@" >/dev/null 2>&1; } # `!` alone would not end a test
silent() { no pings "$1" "$2" 2; }
get() { docker exec "$1" sh -c "(printf 'GET / HTTP/1.0\r\n\r\n'; sleep 2) | timeout 5 nc $2 $3" | grep "200 OK"; } # CONTAINER ADDRESS PORT
apart() { silent "$1" "$(ip_of "$2" "$3")" && silent "$2" "$(ip_of "$1" "$3")" && no get "$1" "$(ip_of "$2" "$3")" 80; } # A B NETWORK
published() { until_true 10 sh -c "curl -s -m 5 http://127.0.0.1:$2/ | grep -q $1"; } # WHAT PORT
names() { has "$(docker exec "$1" nslookup "$2" 2>&1)" "$(ip_of "$2" "$3")"; } # A B NETWORK

t_first_an_image_and_members() {
	image busybox; docker network create -o $OFF --subnet 10.91.0.0/24 apart >/dev/null; docker network create -o $OFF -d vmnet --subnet 10.92.0.0/24 flat >/dev/null
	up aa apart --hostname at-aa -p 127.0.0.1:8951:80 --add-host the-host:host-gateway; up bb; up v1 flat --hostname at-v1 -p 127.0.0.1:8952:80; up v2 flat
}
t_inspect_says_so() { eq "$(docker network inspect -f '{{json .Options}}' apart)" "{\"${OFF%=*}\":\"false\"}"; }
t_members_do_not_reach_each_other() { apart aa bb apart; apart v1 v2 flat; }
t_their_names_are_known() { names aa bb apart; names bb aa apart; names v1 v2 flat; }
t_the_gateway_answers() { pings aa 10.91.0.1; pings v1 10.92.0.1; }
t_published_ports_are_open() { published at-aa 8951; published at-v1 8952; }
t_the_outside_is_reached() {
	python3 -m http.server --bind 127.0.0.1 8953 -d "$ROOT/docker-config" >/dev/null 2>&1 & trap "kill $!" EXIT
	until_true 10 curl -s http://127.0.0.1:8953/; get aa the-host 8953 >/dev/null
	has "$(docker exec bb nslookup -timeout=3 localhost 198.19.255.3 2>&1 || true)" "server can't find"; has "$(docker exec v2 nslookup -timeout=3 localhost 198.19.255.3 2>&1 || true)" "server can't find"
}
t_no_way_around_it() { # through the gateway, by broadcast, and with the neighbour given by hand
	local b v m; b=$(ip_of bb); v=$(ip_of v2 flat); m=$(docker inspect -f '{{.NetworkSettings.Networks.flat.MacAddress}}' v2)
	docker exec aa ip route add "$b/32" via 10.91.0.1; silent aa "$b"; docker exec aa ip route del "$b/32"
	docker exec v1 ip route add "$v/32" via 10.92.0.1; silent v1 "$v"; docker exec v1 ip route del "$v/32"
	no docker exec v1 arping -c 2 -w 2 -I eth0 "$v"
	docker exec v1 arp -s "$v" "$m"; silent v1 "$v"; docker exec v1 arp -d "$v"
	docker exec v2 sh -c 'cat /sys/class/net/eth0/statistics/rx_packets' >"$ROOT/before"
	docker exec v1 ping -c 3 -W 1 -b 10.92.0.255 >/dev/null 2>&1 || true
	eq "$(docker exec v2 cat /sys/class/net/eth0/statistics/rx_packets)" "$(cat "$ROOT/before")"
}
t_another_network_of_both_joins_them() {
	docker network create --subnet 10.93.0.0/24 open >/dev/null; docker network connect open aa; docker network connect open bb
	until_true 15 pings aa "$(ip_of bb open)" 2; apart aa bb apart; docker network disconnect open aa; docker network disconnect open bb; docker network rm open >/dev/null
}
t_a_live_member_is_apart_as_well() {
	docker network create --subnet 10.93.0.0/24 open >/dev/null; up cc open; docker network connect apart cc; docker network connect flat cc
	apart cc aa apart; apart cc v1 flat; names aa cc apart; docker rm -f cc >/dev/null; docker network rm open >/dev/null
}
t_restarts_change_nothing() {
	docker restart -t 0 bb >/dev/null; apart aa bb apart; arcad_kill9; arcad_start; apart aa bb apart; apart v1 v2 flat; names aa bb apart; published at-aa 8951
	up dd; up v3 flat; apart dd aa apart; apart v3 v1 flat; names aa dd apart; docker rm -f dd v3 >/dev/null
}
t_new_keys_change_nothing() {
	arcad_stop; ARCAD_ARGS+=(--network-key-rotation 2); arcad_start; until_true 20 grep -q "container $(docker inspect -f '{{.Id}}' bb | cut -c1-12) has a new key" "$ROOT/arcad.log"; apart aa bb apart; arcad_stop; ARCAD_ARGS=(); arcad_start
}
t_the_default_bridge_likewise() {
	up d1 bridge; up d2 bridge; pings d1 "$(ip_of d2 bridge)"; docker rm -f d1 d2 >/dev/null; arcad_stop; ARCAD_ARGS=(--icc=false); arcad_start
	eq "$(docker network inspect -f "{{index .Options \"${OFF%=*}\"}}" bridge)" false; up d1 bridge --hostname at-d1 -p 127.0.0.1:8954:80; up d2 bridge
	apart d1 d2 bridge; published at-d1 8954; pings d1 172.17.0.1; arcad_kill9; arcad_start; apart d1 d2 bridge; docker rm -f d1 d2 >/dev/null
	arcad_stop; ARCAD_ARGS=(); echo '{"icc":false}' >"$ROOT/daemon.json"; arcad_start; eq "$(docker network inspect -f "{{index .Options \"${OFF%=*}\"}}" bridge)" false
	arcad_stop; echo '{}' >"$ROOT/daemon.json"; arcad_start; eq "$(docker network inspect -f "{{index .Options \"${OFF%=*}\"}}" bridge)" true; up d1 bridge; up d2 bridge; pings d1 "$(ip_of d2 bridge)"; docker rm -f d1 d2 >/dev/null
}
t_nothing_is_left() { docker rm -f aa bb v1 v2 >/dev/null; docker network rm apart flat >/dev/null; }
run_tests
