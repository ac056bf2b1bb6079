#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ports.sh - published ports: what listens, what is shown, what is refused; texts and JSON are those of dockerd 28.5.2
# TEST_HOST=unix://... PEER=1 runs what is not about Arca's own processes against a dockerd whose network namespace this is.
. "$(dirname "$0")/../lib.sh"
up() { docker run -d "$@" busybox sleep 300; }
ports() { docker inspect -f '{{json .NetworkSettings.Ports}}' "$1"; }
listed() { api GET '/containers/json?all=1' | jq -c --arg n "/$1" '.[] | select(.Names[0] == $n) | .Ports | sort_by(.PrivatePort)'; }
state() { docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$1"; }
both() { echo "[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"$1\"},{\"HostIp\":\"::\",\"HostPort\":\"$1\"}]"; }
opens() { python3 - "$@" <<'PY'
import socket, sys
ip, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ':' in ip else socket.AF_INET)
s.settimeout(5)
s.connect((ip, port))
PY
}
shut() { fails opens "$@" >/dev/null; }
hold() { # IP PORT PROTO: a foreign process has the port until its stdin ends
	coproc HOLD { exec python3 -c '
import socket, sys
ip, port, proto = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
if ":" in ip: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind((ip, int(port)))
if proto == "tcp": s.listen()
print("held", flush=True)
sys.stdin.read()' "$@"; }
	local line; read -r -u "${HOLD[0]}" line; eq "$line" held
}
let_go() { local pid=$HOLD_PID; eval "exec ${HOLD[1]}>&-"; wait "$pid" || true; }
E='failed to set up container networking: driver failed programming external connectivity on endpoint'
refused() { # NAME TEXT ARGS...: docker run says so, and leaves a container that was never started
	local name=$1 text=$2 out id; shift 2
	out=$(fails docker run -d --name "$name" "$@" busybox sleep 300)
	[ -z "${PEER:-}" ] || out=${out/Bind for :::/Bind for 0.0.0.0:} text=${text/Bind for :::/Bind for 0.0.0.0:} # either, there
	id=$(sed -n "s/.*on endpoint $name (\([0-9a-f]*\)): .*/\1/p" <<<"$out"); eq "${#id}" 64
	has "$out" "Error response from daemon: $E $name ($id): $text"
	eq "$(state "$name")" 'created 128'; [ -n "${PEER:-}" ] || eq "$(docker inspect -f '{{.State.Error}}' "$name")" "$E $name ($id): $text"
	eq "$(ports "$name")" '{}'; eq "$(listed "$name")" '[]'
	docker rm "$name" >/dev/null
}
clean() { # its own: a peer may have others
	docker rm -f aa bb cc dd xx >/dev/null 2>&1 || true; docker network rm int u1 hb v6 v6o >/dev/null 2>&1 || true
}
forwarder() { awk '{print $1; exit}' "$ROOT/exec/net/forward.pid"; }
raw() { # EXPOSED BINDINGS: a container x as the API takes it
	api POST '/containers/create?name=xx' -H 'Content-Type: application/json' -d "{\"Image\":\"busybox\",\"Cmd\":[\"sleep\",\"300\"],\"ExposedPorts\":$1,\"HostConfig\":{\"PortBindings\":$2}}" | jq -r '.message // empty'
}
starts_raw() { eq "$(raw "$1" "$2")" ''; docker start xx >/dev/null; eq "$(ports xx)" "$3"; docker rm -f xx >/dev/null; }

not_a_peers() { [ -z "${PEER:-}" ] || skip "about processes of Arca's"; }

t_first_load() { image busybox; }
t_a_published_port_listens_and_is_shown() {
	up --name aa -p 18080:80 --expose 99 --expose 98/sctp >/dev/null
	opens 127.0.0.1 18080; opens ::1 18080
	eq "$(ports aa)" "{\"80/tcp\":$(both 18080),\"98/sctp\":null,\"99/tcp\":null}"
	eq "$(listed aa)" '[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":18080,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":18080,"Type":"tcp"},{"PrivatePort":98,"Type":"sctp"},{"PrivatePort":99,"Type":"tcp"}]'
	eq "$(docker ps --format '{{.Ports}}')" '98/sctp, 99/tcp, 0.0.0.0:18080->80/tcp, [::]:18080->80/tcp'
	eq "$(docker port aa)" $'80/tcp -> 0.0.0.0:18080\n80/tcp -> [::]:18080'; eq "$(docker port aa 80/tcp)" $'0.0.0.0:18080\n[::]:18080'
	eq "$(docker inspect -f '{{json .HostConfig.PortBindings}}' aa)" '{"80/tcp":[{"HostIp":"","HostPort":"18080"}]}'
	clean
}
t_addresses_of_the_host() {
	up --name aa -p 127.0.0.1:18081:80 -p '[::1]:18082:80' -p 127.0.0.1::81 -p 0.0.0.0:18083:82 -p '[::]:18084:82' >/dev/null
	local p; p=$(docker port aa 81/tcp | cut -d: -f2)
	opens 127.0.0.1 18081; shut ::1 18081; opens ::1 18082; shut 127.0.0.1 18082; opens 127.0.0.1 "$p"; opens 127.0.0.1 18083; shut ::1 18083; opens ::1 18084; shut 127.0.0.1 18084
	eq "$(ports aa)" "{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"18081\"},{\"HostIp\":\"::1\",\"HostPort\":\"18082\"}],\"81/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"$p\"}],\"82/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"18083\"},{\"HostIp\":\"::\",\"HostPort\":\"18084\"}]}"
	clean
}
t_ports_that_nobody_chose() {
	up --name aa -p 80 -p 81/udp -p 82 >/dev/null; up --name bb -P --expose 90 --expose 91-92/udp >/dev/null
	local p lo hi; read -r lo hi </proc/sys/net/ipv4/ip_local_port_range
	for p in $(docker port aa; docker port bb); do case $p in *:*) p=${p##*:}; [ "$p" -ge "$lo" ] && [ "$p" -le "$hi" ] ;; esac; done
	eq "$(api GET /containers/aa/json | jq -c '.NetworkSettings.Ports | [keys, (.[] | [length, (map(.HostPort) | unique | length)])]')" '[["80/tcp","81/udp","82/tcp"],[2,1],[2,1],[2,1]]'
	eq "$(api GET /containers/bb/json | jq -c '.NetworkSettings.Ports | [keys, (.[] | [length, (map(.HostPort) | unique | length)])]')" '[["90/tcp","91/udp","92/udp"],[2,1],[2,1],[2,1]]'
	opens 127.0.0.1 "$(docker port aa 80/tcp | sed -n '1s/.*://p')"; opens ::1 "$(docker port bb 90/tcp | sed -n '1s/.*://p')"
	eq "$(docker inspect -f '{{json .HostConfig.PortBindings}}' aa)" '{"80/tcp":[{"HostIp":"","HostPort":""}],"81/udp":[{"HostIp":"","HostPort":""}],"82/tcp":[{"HostIp":"","HostPort":""}]}'
	p=$(docker port aa 80/tcp | head -1); docker restart -t 0 aa >/dev/null; [ "$(docker port aa 80/tcp | head -1)" != "$p" ] # as dockerd: the next one
	clean
}
t_of_a_range_the_first_that_is_free() {
	up --name aa -p 18100-18102:80 >/dev/null; up --name bb -p 18100-18102:80 >/dev/null; hold 0.0.0.0 18102 tcp
	eq "$(ports aa)" "{\"80/tcp\":$(both 18100)}"; eq "$(ports bb)" "{\"80/tcp\":$(both 18101)}"
	refused cc 'failed to bind host port 18102 for 0.0.0.0:18100-18102:172.17.0.4:80/tcp: address already in use' -p 18100-18102:80; let_go
	up --name cc -p 18100-18102:80 >/dev/null; eq "$(ports cc)" "{\"80/tcp\":$(both 18102)}"
	refused dd 'all ports are allocated' -p 18100-18102:80
	clean
}
t_a_thousand_ports() {
	[ -z "${PEER:-}" ] || skip "takes dockerd minutes: two processes for each"
	local before; before=$(ls /proc/$(forwarder)/task | wc -l)
	up --name aa -p 20000-20999:1000-1999 -p 20000-20999:1000-1999/udp >/dev/null
	opens 127.0.0.1 20000; opens ::1 20999; opens 127.0.0.1 20500; shut 127.0.0.1 21000
	eq "$(ls /proc/$(forwarder)/task | wc -l)" "$before"; eq "$(pgrep -P "$(forwarder)" || true)" ""
	eq "$(api GET /containers/aa/json | jq -c '.NetworkSettings.Ports | [length, .["1000/tcp"], .["1999/udp"]]')" "[2000,$(both 20000),$(both 20999)]"
	eq "$(listed aa | jq length)" 4000
	refused bb 'Bind for 0.0.0.0:20999 failed: port is already allocated' -p 20999-22000:1-1002
	docker rm -f aa >/dev/null; shut 127.0.0.1 20500
	up --name bb -p 20999-22000:1-1002 >/dev/null; opens 127.0.0.1 20999; clean
}
t_several_bindings_of_one_port() {
	up --name aa -p 18110:80 -p 18111:80 -p 18110:80/udp >/dev/null
	eq "$(ports aa)" "{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"18110\"},{\"HostIp\":\"::\",\"HostPort\":\"18110\"},{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"18111\"},{\"HostIp\":\"::\",\"HostPort\":\"18111\"}],\"80/udp\":$(both 18110)}"
	opens 127.0.0.1 18110; opens ::1 18111
	eq "$(docker ps --format '{{.Ports}}')" '0.0.0.0:18110->80/tcp, 0.0.0.0:18110->80/udp, 0.0.0.0:18111->80/tcp, [::]:18110->80/tcp, [::]:18110->80/udp, [::]:18111->80/tcp'
	clean
}
t_a_port_of_another_container_is_refused() {
	up --name aa -p 18120:80 -p 127.0.0.1:18121:81 >/dev/null; local text='failed: port is already allocated'
	refused bb "Bind for 0.0.0.0:18120 $text" -p 18120:80; refused bb "Bind for 0.0.0.0:18120 $text" -p 127.0.0.1:18120:80
	refused bb "Bind for :::18120 $text" -p '[::1]:18120:80'; refused bb "Bind for 127.0.0.1:18121 $text" -p 18121:80
	refused bb "Bind for 0.0.0.0:18120 $text" -p 18119-18121:70-72; shut 127.0.0.1 18119
	eq "$(fails docker run --rm --name bb -p 18120:80 busybox true | grep -c 'port is already allocated')" 1; fails docker inspect bb >/dev/null
	up --name bb -p 127.0.0.2:18121:80 -p 18120:80/udp >/dev/null; docker rm -f bb >/dev/null
	docker create --name bb -p 18120:80 busybox sleep 300 >/dev/null; eq "$(status POST /containers/bb/start)" 500
	docker stop -t 0 aa >/dev/null; docker start bb >/dev/null; opens 127.0.0.1 18120; eq "$(state bb)" 'running 0'
	has "$(fails docker start aa)" "Bind for 0.0.0.0:18120 $text"; eq "$(state aa)" 'exited 137'
	docker rm -f bb >/dev/null; docker start aa >/dev/null; opens 127.0.0.1 18120; clean
}
t_a_port_of_a_foreign_process_is_refused() {
	hold 0.0.0.0 18130 tcp
	refused aa 'failed to bind host port for 0.0.0.0:18130:172.17.0.2:80/tcp: address already in use' -p 18130:80
	refused aa 'failed to bind host port for 127.0.0.1:18130:172.17.0.2:80/tcp: address already in use' -p 127.0.0.1:18130:80
	refused aa 'failed to bind host port for 0.0.0.0:18130:172.17.0.2:81/tcp: address already in use' -p 18129-18131:80-82; let_go
	hold :: 18130 tcp; refused aa 'failed to bind host port for [::]:18130:172.17.0.2:80/tcp: address already in use' -p 18130:80; let_go
	hold 0.0.0.0 18130 udp; refused aa 'failed to bind host port for 0.0.0.0:18130:172.17.0.2:80/udp: address already in use' -p 18130:80/udp; let_go
	up --name aa -p 18130:80 >/dev/null; opens 127.0.0.1 18130; clean
}
t_addresses_that_the_host_has_not() {
	refused aa 'failed to bind host port for 203.0.113.3:18140:172.17.0.2:80/tcp: cannot assign requested address' -p 203.0.113.3:18140:80
	refused aa 'failed to bind host port for [2001:db8::77]:18140:172.17.0.2:80/tcp: cannot assign requested address' -p '[2001:db8::77]:18140:80'
	refused aa 'failed to bind host port for 203.0.113.3::172.17.0.2:80/tcp: cannot assign requested address' -p 203.0.113.3::80
	refused aa 'failed to bind host port 18141 for 203.0.113.3:18140-18141:172.17.0.2:80/tcp: cannot assign requested address' -p 203.0.113.3:18140-18141:80
}
t_one_port_twice() {
	refused aa 'Bind for 0.0.0.0:18150 failed: port is already allocated' -p 18150:80 -p 18150:81
	refused aa 'failed to listen on TCP socket: address already in use' -p 18150:80 -p 18150:80
	refused aa 'failed to listen on TCP socket: address already in use' -p 18150:80 -p 127.0.0.1:18150:80
	refused aa 'error starting userland proxy: failed to listen on 0.0.0.0:18150: protocol not supported' -p 18150:80/sctp
}
t_what_the_api_takes() {
	local p b='[{"HostPort":"18160"}]' e='{"80/tcp":{}}'
	starts_raw '{}' "{\"80/tcp\":$b}" '{}'; starts_raw null "{\"80/tcp\":$b}" '{}' # not exposed: dockerd does not publish it
	starts_raw "$e" "{\"80/tcp\":null}" '{"80/tcp":null}'; starts_raw "$e" "{\"80/tcp\":[]}" '{"80/tcp":null}'; starts_raw '{"80":{}}' "{\"80/tcp\":$b}" '{"80/tcp":null}'
	starts_raw '{"80/TCP":{}}' "{\"80/TCP\":$b}" "{\"80/tcp\":$(both 18160)}"; starts_raw '{"080/tcp":{}}' "{\"080/tcp\":$b}" "{\"80/tcp\":$(both 18160)}"
	starts_raw "$e" '{"80/tcp":[{"HostPort":"018160"}]}' "{\"80/tcp\":$(both 18160)}"; starts_raw "$e" '{"80/tcp":[{"HostPort":"18160-18160"}]}' "{\"80/tcp\":$(both 18160)}"
	starts_raw "$e" '{"80/tcp":[{"HostIp":"::ffff:127.0.0.1","HostPort":"18160"}]}' '{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"18160"}]}'
	starts_raw "$e" '{"80/tcp":[{"HostIp":"0:0::1","HostPort":"18160"}]}' '{"80/tcp":[{"HostIp":"::1","HostPort":"18160"}]}'
	for p in '{}' '{"HostPort":"0"}' '{"HostPort":"0-0"}'; do
		eq "$(raw "$e" "{\"80/tcp\":[$p]}")" ''; docker start xx >/dev/null; eq "$(ports xx | jq -c '.["80/tcp"] | [length, (map(.HostPort) | unique | length)]')" '[2,1]'; docker rm -f xx >/dev/null
	done
	eq "$(raw "$e" '{"80/tcp":[{"HostIp":"127.0.0.1"},{"HostIp":"::1"}]}')" ''; docker start xx >/dev/null; eq "$(ports xx | jq -c '.["80/tcp"] | [map(.HostIp), (map(.HostPort) | unique | length)]')" '[["127.0.0.1","::1"],1]'; docker rm -f xx >/dev/null
	eq "$(raw "$e" '{"80/tcp":[{},{}]}')" ''; has "$(fails docker start xx)" ': failed to listen on TCP socket: address already in use'; docker rm xx >/dev/null
	eq "$(raw '{}' '{"80-81/tcp":[]}')" 'invalid port specification: "80-81"'; eq "$(raw '{}' '{"x":[]}')" 'invalid port specification: "x"'
	for p in 70000 x 18162-18161; do eq "$(raw "$e" "{\"80/tcp\":[{\"HostPort\":\"$p\"}]}")" "invalid port specification: \"$p\""; done
	eq "$(raw "$e" '{"80/tcp":[{"HostPort":"0-5"}]}')" ''; has "$(fails docker start xx)" ': invalid port range: 0-5'; docker rm xx >/dev/null
	eq "$(raw '{"80/foo":{}}' "{\"80/foo\":$b}")" ''; has "$(fails docker start xx)" ': unknown protocol'; docker rm xx >/dev/null
	[ -z "${PEER:-}" ] || return 0 # it publishes on all addresses where it cannot read one
	for p in x 127.0.0.01 '[::1]' fe80::1%lo; do eq "$(raw "$e" "{\"80/tcp\":[{\"HostIp\":\"$p\",\"HostPort\":\"18160\"}]}")" "invalid IP address: $p"; done
}
t_networks_without_a_way_in() {
	docker network create --internal int >/dev/null; docker network create u1 >/dev/null
	up --name aa --network none -p 18170:80 --expose 81 >/dev/null; eq "$(ports aa) $(listed aa)" '{} []'; shut 127.0.0.1 18170; docker rm -f aa >/dev/null
	up --name aa --network int -p 18170:80 --expose 81 >/dev/null; eq "$(ports aa) $(listed aa)" '{} []'; shut 127.0.0.1 18170; docker rm -f aa >/dev/null
	up --name aa --network int --network u1 -p 18170:80 --expose 81 >/dev/null; eq "$(ports aa)" "{\"80/tcp\":$(both 18170),\"81/tcp\":null}"; opens 127.0.0.1 18170
	docker network disconnect u1 aa; eq "$(ports aa) $(listed aa)" '{} []'; shut 127.0.0.1 18170
	docker network connect u1 aa; eq "$(ports aa)" "{\"80/tcp\":$(both 18170),\"81/tcp\":null}"; opens ::1 18170; docker network disconnect u1 aa
	up --name bb -p 18170:80 >/dev/null; [ -n "${PEER:-}" ] || { has "$(fails docker network connect u1 aa)" 'Bind for 0.0.0.0:18170 failed: port is already allocated'; eq "$(docker inspect -f '{{len .NetworkSettings.Networks}}' aa)" 1; }
	clean
}
t_the_address_of_a_bridge() {
	docker network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 hb >/dev/null
	up --name aa --network hb -p 18180:80 >/dev/null; eq "$(ports aa)" '{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"18180"}]}'; opens 127.0.0.1 18180; shut ::1 18180; docker rm -f aa >/dev/null
	up --name aa --network hb -p '[::]:18180:80' -p 0.0.0.0:18181:80 >/dev/null; eq "$(ports aa)" '{"80/tcp":[{"HostIp":"::","HostPort":"18180"},{"HostIp":"0.0.0.0","HostPort":"18181"}]}'; clean
}
t_networks_of_ipv6() {
	docker network create --ipv6 v6 >/dev/null; docker network create --ipv4=false --ipv6 v6o >/dev/null
	up --name aa --network v6 -p 18190:80 >/dev/null; eq "$(ports aa)" "{\"80/tcp\":$(both 18190)}"; docker rm -f aa >/dev/null
	up --name aa --network v6o -p 18190:80 -p 127.0.0.1:18191:81 >/dev/null; eq "$(ports aa)" '{"80/tcp":[{"HostIp":"::","HostPort":"18190"}],"81/tcp":null}'; opens ::1 18190; shut 127.0.0.1 18190; shut 127.0.0.1 18191; clean
}
t_ports_follow_the_gateway_of_one_that_runs() { # what inspect shows is what accepts; ports that were chosen stay, where dockerd takes the next
	docker network create u1 >/dev/null; docker network create --ipv6 v6 >/dev/null; docker network create --ipv4=false --ipv6 v6o >/dev/null
	docker network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 hb >/dev/null
	docker run -d --name aa -p 18270:80 -p 127.0.0.1:18271:80 -p 82 busybox sh -c 'mkdir /w; echo served >/w/index.html; exec httpd -f -p 80 -h /w' >/dev/null
	local p; p=$(docker port aa 82/tcp | sed -n '1s/.*://p')
	serves() { eq "$(curl -s --max-time 5 "http://$1/")" served; }
	is() { # IP...: where 18270 listens
		eq "$(ports aa | jq -r '[.["80/tcp"][] | select(.HostPort == "18270") | .HostIp] | sort | join(" ")')" "$*"
		[ -n "${PEER:-}" ] || eq "$(ports aa | jq -r '.["82/tcp"] | map(.HostPort) | unique | join(" ")')" "$p"
		case "$*" in *::*) until_true 5 serves '[::1]:18270' ;; *) shut ::1 18270 ;; esac
		case "$*" in *0.0*) until_true 5 serves 127.0.0.1:18270; until_true 5 serves 127.0.0.1:18271 ;; *) shut 127.0.0.1 18270; shut 127.0.0.1 18271 ;; esac
	}
	goes() { docker network "$@" aa; }
	is 0.0.0.0 ::; goes connect u1; is 0.0.0.0 ::; goes disconnect bridge; is 0.0.0.0 ::; goes connect v6; is 0.0.0.0 ::; goes disconnect u1; is 0.0.0.0 ::; goes disconnect v6; eq "$(ports aa)" '{}'
	goes connect u1; p=$(docker port aa 82/tcp | sed -n '1s/.*://p'); is 0.0.0.0 ::; goes connect v6o; is 0.0.0.0 ::; goes disconnect u1; is ::; goes connect bridge; is 0.0.0.0 ::
	goes connect --gw-priority 3 hb; is 127.0.0.1 ::; goes disconnect v6o; is 127.0.0.1; goes disconnect hb; is 0.0.0.0 ::; clean
}
t_a_gateway_whose_address_is_taken() { # connect fails, and all is as it was
	not_a_peers
	docker network create u1 >/dev/null; docker network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 hb >/dev/null
	up --name aa --network hb -p 18272:80 -p 81 >/dev/null; local was; was=$(ports aa); hold 127.0.0.2 18272 tcp
	has "$(fails docker network connect --gw-priority 1 u1 aa)" ':18272:'; let_go; eq "$(ports aa)" "$was"; opens 127.0.0.1 18272; eq "$(docker exec aa ls /sys/class/net | xargs)" 'eth0 lo'
	has "$(docker exec aa ip route)" 'default via'; docker network connect --gw-priority 1 u1 aa; eq "$(ports aa | jq -c '.["80/tcp"]')" "$(both 18272)"; clean
}
t_ports_follow_onto_a_vmnet() {
	not_a_peers
	docker network create -d vmnet u1 >/dev/null; docker run -d --name aa -p 18273:80 busybox sh -c 'mkdir /w; echo served >/w/index.html; exec httpd -f -p 80 -h /w' >/dev/null
	serves() { eq "$(curl -s --max-time 5 http://127.0.0.1:18273/)" served; }
	until_true 10 serves; docker network connect --gw-priority 1 u1 aa; until_true 5 serves; docker network disconnect bridge aa; until_true 5 serves; docker network connect bridge aa; docker network disconnect u1 aa; until_true 5 serves; clean
}
t_ports_are_free_after_every_end() {
	local n; docker run -d --name aa -p 18200:80 busybox true >/dev/null; docker wait aa >/dev/null
	eq "$(ports aa) $(listed aa)" '{} []'; shut 127.0.0.1 18200; docker rm aa >/dev/null
	for n in stop kill rm; do
		up --name aa -p 18200:80 >/dev/null; opens 127.0.0.1 18200
		case $n in stop) docker stop -t 0 aa >/dev/null ;; kill) docker kill aa >/dev/null ;; rm) docker rm -f aa >/dev/null ;; esac
		until_true 10 shut 127.0.0.1 18200; [ $n = rm ] || { eq "$(ports aa)" '{}'; docker rm aa >/dev/null; }
	done
	fails docker run -d --name aa -p 18200:80 busybox /nosuch >/dev/null; shut 127.0.0.1 18200; eq "$(ports aa)" '{}'; docker rm aa >/dev/null
	docker run --rm -p 18200:80 busybox true; until_true 10 shut 127.0.0.1 18200
	up --name aa -p 18200:80 >/dev/null; docker pause aa >/dev/null; opens 127.0.0.1 18200; eq "$(ports aa)" "{\"80/tcp\":$(both 18200)}"; docker unpause aa >/dev/null
	docker rename aa bb; eq "$(docker port bb)" $'80/tcp -> 0.0.0.0:18200\n80/tcp -> [::]:18200'; docker restart -t 0 bb >/dev/null; opens ::1 18200; clean
}
t_ports_are_free_when_a_vm_is_killed() {
	not_a_peers
	up --name aa -p 18210:80 >/dev/null; opens 127.0.0.1 18210; kill -9 "$(vm_pids)"
	until_true 10 shut 127.0.0.1 18210; until_true 10 eval 'eq "$(state aa)" "exited 137"'; eq "$(ports aa)" '{}'; docker start aa >/dev/null; opens 127.0.0.1 18210; clean
}
t_a_restart_policy_publishes_again() {
	not_a_peers
	up --name aa --restart always -p 18220:80 >/dev/null; kill -9 "$(vm_pids)"
	until_true 10 eval '[ "$(docker inspect -f "{{.State.Running}} {{.RestartCount}}" aa)" = "true 1" ]'; opens ::1 18220; eq "$(ports aa)" "{\"80/tcp\":$(both 18220)}"; clean
}
t_a_killed_daemon_leaves_ports_alone() {
	not_a_peers
	local was list f id; up --name aa -p 18230:80 -p 81 >/dev/null; id=$(up --name bb -p 18231:80); was=$(ports aa); list=$(listed aa); f=$(forwarder)
	arcad_kill9; opens 127.0.0.1 18230; opens ::1 18231; kill -9 "$(jq .pid "$ROOT/exec/vm/$id/vm.json")"
	arcad_start; until_true 10 eval 'eq "$(forwarder)" "$f"'
	eq "$(state bb)" 'exited 137'; eq "$(ports bb) $(listed bb)" '{} []'; until_true 10 shut 127.0.0.1 18231; eq "$(ports aa)" "$was"; eq "$(listed aa)" "$list"; opens 127.0.0.1 18230
	docker start bb >/dev/null; opens ::1 18231; clean
}
t_a_container_removed_meanwhile_has_no_port() {
	not_a_peers # aa daemon that died between start and row, and lost its database since
	up --name aa -p 18240:80 >/dev/null; arcad_kill9; python3 -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute("DELETE FROM containers"); db.commit()' "$ROOT/data/arca.db"
	arcad_start; until_true 10 shut 127.0.0.1 18240; clean
}
t_a_killed_forwarder_comes_back_with_its_ports() {
	not_a_peers
	up --name aa -p 18250:80 -p 81 >/dev/null; local was f; was=$(ports aa); f=$(forwarder)
	kill -9 "$f"; until_true 10 opens 127.0.0.1 18250; [ "$(forwarder)" != "$f" ]; eq "$(ports aa)" "$was"; opens ::1 "$(docker port aa 81/tcp | sed -n '1s/.*://p')"
	docker rm -f aa >/dev/null; shut 127.0.0.1 18250
}
both_killed() { arcad_kill9; kill -9 "$(forwarder)"; }
t_both_are_killed() { # what nobody asked for by number stays as well
	not_a_peers
	up --name bb -p 18261-18263:80 >/dev/null; up --name aa -p 18260:80 -p 81 -p 127.0.0.1::82/udp -p 18261-18263:83 >/dev/null; docker rm -f bb >/dev/null # the range's first is free
	local was n p; was=$(ports aa); p=$(docker port aa 81/tcp | sed -n '1s/.*://p'); has "$was" "\"83/tcp\":$(both 18262)"
	for n in 1 2; do
		both_killed; shut 127.0.0.1 18260; arcad_start; until_true 10 opens 127.0.0.1 18260; eq "$(ports aa)" "$was"
		opens 127.0.0.1 "$p"; opens ::1 "$p"; opens 127.0.0.1 18262; shut 127.0.0.1 18261
	done
	up --name bb -p 81 >/dev/null; [ "$(docker port bb 81/tcp | sed -n '1s/.*://p')" -gt "$p" ]; docker restart -t 0 aa >/dev/null; [ "$(docker port aa 81/tcp | sed -n '1s/.*://p')" != "$p" ]; clean
}
t_both_are_killed_and_a_port_is_taken() {
	not_a_peers
	up --name aa -p 18264:80 -p 81 -p 82 >/dev/null; local p q r; p=$(docker port aa 81/tcp | sed -n '1s/.*://p'); q=$(docker port aa 82/tcp | sed -n '1s/.*://p')
	both_killed; hold :: "$p" tcp; arcad_start; until_true 10 opens 127.0.0.1 "$q"
	r=$(docker port aa 81/tcp | sed -n '1s/.*://p'); [ "$r" -gt "$q" ]; opens 127.0.0.1 "$r"; opens ::1 "$r"; shut 127.0.0.1 "$p"; opens ::1 18264
	eq "$(ports aa | jq -c '[.[] | map(.HostPort) | unique]')" "[[\"18264\"],[\"$r\"],[\"$q\"]]"
	has "$(grep level=warning "$ROOT/arcad.log")" "somebody else has taken host port $p"; let_go
	both_killed; arcad_start; until_true 10 opens 127.0.0.1 "$r"; shut 127.0.0.1 "$p"; clean # and this one it keeps
}
t_nothing_is_left() {
	not_a_peers
	eq "$(docker ps -aq)" ''; until_true 10 no_vms
}

[ -n "${NO_DAEMON:-}" ] || echo '{}' >"$ROOT/daemon.json"
run_tests
