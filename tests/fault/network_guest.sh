#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# network_guest.sh - the way out when pasta dies; helpers and VMs that die in the middle of things; a guest with real tools
# that forges addresses and DNS answers, and floods
. "$(dirname "$0")/../lib.sh"
trap '[ ! -s "$ROOT/outside.pid" ] || kill "$(cat "$ROOT/outside.pid")" 2>/dev/null; finish' EXIT
echo '{}' >"$ROOT/daemon.json"
NET=$ROOT/exec/net HOST=$(hostname -I | cut -d' ' -f1)
ip_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"${2:-mesh}\").IPAddress}}" "$1"; } # CONTAINER [NETWORK]
up() { docker run -d --name "$1" --network "${2:-mesh}" "${@:3}" net:test sleep 3600 >/dev/null; }     # NAME [NETWORK [OPTION...]]
pings() { docker exec "$1" ping -c 1 -W "${3:-2}" "$2" >/dev/null; }                                    # CONTAINER ADDRESS [SECONDS]
in_time() { until_true "${3:-15}" pings "$1" "$2" 2; }
pid_of() { awk '{print $1; exit}' "$NET/$1.pid"; }
vm_of() { docker inspect -f '{{.State.Pid}}' "$1"; }
inside() { nsenter --net="$NET/ns" "$@"; }
nap() { sleep "$(awk -v r=$RANDOM -v m="$1" 'BEGIN { print r % m / 1000 }')"; } # at most MILLISECONDS
check() { "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" --exec-root "$ROOT/exec" --network-check; }
agree() { local i; for i in 1 2 3 4; do check >/dev/null && return 0; done; check; } # rows and kernel
outside() { eq "$(docker exec "$1" curl -sS --max-time 5 "http://$HOST:18590/sum")" outside; }
web() { eq "$(curl -sS --max-time 5 http://127.0.0.1:18580/sum)" inside; }
names() { eq "$(docker exec "$1" dig +short +time=2 +tries=1 "$2" A)" "$3"; } # CONTAINER NAME ADDRESS
all_well() { in_time aa "$(ip_of bb)"; in_time bb "$(ip_of aa)"; until_true 15 web; until_true 15 names aa bb "$(ip_of bb)"; until_true 15 outside aa; }

t_first_containers_and_an_outside() {
	image net; docker network create --subnet 10.86.0.0/24 mesh >/dev/null; docker network create --subnet 10.87.0.0/24 other >/dev/null
	mkdir "$ROOT/www"; echo outside >"$ROOT/www/sum"
	(cd "$ROOT/www" && exec python3 -m http.server 18590 --bind "$HOST") >/dev/null 2>&1 & echo $! >"$ROOT/outside.pid"
	docker run -d --name aa --network mesh -p 18580:80 net:test sh -c 'echo inside >/var/www/html/sum; exec nginx -g "daemon off;"' >/dev/null
	up bb; all_well; agree
}
t_the_way_out_comes_back_when_pasta_is_killed() {
	local i p; for i in 1 2 3; do p=$(pid_of pasta); kill -9 "$p"; until_true 20 outside aa; outside bb; [ "$(pid_of pasta)" != "$p" ]; web; agree; done
}
t_pasta_is_killed_in_the_middle_of_starts() {
	local i; for i in 1 2 3 4; do
		up cc mesh & nap 400; kill -9 "$(pid_of pasta)"; wait $!; until_true 40 outside cc; in_time cc "$(ip_of aa)"; docker rm -f cc >/dev/null
	done
	all_well; agree
}
t_the_forwarder_is_killed_in_the_middle_of_connects() {
	local i; up dd other -p 18581:81
	for i in 1 2 3 4 5 6; do
		docker network connect mesh dd & nap 250; kill -9 "$(pid_of forward)"; wait $!; in_time dd "$(ip_of aa)"; in_time aa "$(ip_of dd)"
		until_true 10 sh -c 'ss -Hltn "sport = :18581" | grep -q .'; web
		docker network disconnect mesh dd & nap 250; kill -9 "$(pid_of forward)"; wait $!; eq "$(docker exec dd ls /sys/class/net | sort | xargs)" "eth0 lo"
		until_true 10 sh -c 'ss -Hltn "sport = :18581" | grep -q .'
	done
	docker rm -f dd >/dev/null; all_well; agree
}
t_a_vm_is_killed_in_the_middle_of_its_connect() {
	local i ip
	for i in 1 2 3 4 5 6; do
		up ee other; (docker network connect --ip 10.86.0.66 mesh ee >/dev/null 2>&1 || true) & nap 250; kill -9 "$(vm_of ee)"; wait $!
		docker wait ee >/dev/null; agree; eq "$(docker network inspect mesh | jq -r '[.[0].Containers[].Name] | sort | join(" ")')" "aa bb"
		docker start ee >/dev/null; docker network connect --ip 10.86.0.66 mesh ee 2>/dev/null || true
		in_time ee "$(ip_of aa)"; in_time bb 10.86.0.66; docker rm -f ee >/dev/null
	done
	all_well; agree
}
evil() { docker exec evil sh -c "$*"; }
tap_of() { echo "a$(jq .nic "$ROOT/exec/vm/$(docker inspect -f '{{.Id}}' "$1")/vm.json")"; }
underlay_of() { inside ip -4 route show dev "$(tap_of "$1")" | awk '{print $1; exit}'; }
frames() { # MAC SOURCE DESTINATION: evil sends three UDP packets between WireGuard's ports, made by hand
	python3 - "$@" <<'PY' | docker exec -i evil socat -u -b 46 - INTERFACE:eth0
import socket, struct, sys
mac, source, to = sys.argv[1:]
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(to))
total = sum(struct.unpack("!10H", head))
while total >> 16: total = (total & 0xffff) + (total >> 16)
head = head[:10] + struct.pack("!H", 0xffff ^ total) + head[12:]
frame = bytes.fromhex("026100000001" + mac.replace(":", "") + "0800") + head + struct.pack("!HHHH", 52000, 52000, 12, 0) + b"evil"
sys.stdout.buffer.write(frame * 3)
PY
}
counted() { inside nft list counter inet probe "$1" | awk '$1 == "packets" {print $2}'; }
t_forged_addresses_reach_nobody() { # past the VM's own rules, which would put its own address on them
	docker run -d --name evil --privileged --network host net:test sleep 3600 >/dev/null
	local me victim third mac i; me=$(underlay_of evil); victim=$(underlay_of aa); third=$(underlay_of bb); mac=$(evil cat /sys/class/net/eth0/address)
	for i in "$me" "$victim" "$third"; do has "$i" 198.18.; done; has "$(evil ip -4 -o addr show eth0)" "inet $me/"
	inside nft "table inet probe { counter forged {}; counter honest {}; chain out { type filter hook postrouting priority 300; oifname \"$(tap_of aa)\" udp dport 52000 ip saddr $me counter name honest; oifname \"$(tap_of aa)\" udp dport 52000 ip saddr != $me counter name forged; }; }"
	frames "$mac" "$me" "$victim"; until_true 5 eval '[ "$(counted honest)" = 3 ]' # its own pass, so the probe sees
	for i in "$third" "$victim" 198.18.0.1 198.19.255.1 198.19.255.2 127.0.0.1 10.86.0.3 192.0.2.1; do
		frames "$mac" "$i" "$victim"; frames "$(printf '02:61:00:00:%02x:%02x' $(cut -d. -f3- <<<"$third" | tr . ' '))" "$i" "$victim"; frames 02:61:00:00:00:01 "$i" "$victim"
	done
	frames "$mac" "$me" "$victim"; until_true 5 eval '[ "$(counted honest)" = 6 ]' # behind all the others
	eq "$(counted forged)" 0; inside nft delete table inet probe
	for i in "$third" 198.18.0.1; do evil "arping -q -U -c 3 -I eth0 -S $i $i; arping -q -A -c 3 -I eth0 -S $i $i" || true; done
	eq "$(underlay_of bb)" "$third"; all_well; agree; docker rm -f evil >/dev/null
}
t_a_flood_leaves_the_others_their_network() {
	local gw=198.18.0.1 other; docker run -d --name evil --privileged --network host net:test sleep 3600 >/dev/null
	other=$(underlay_of aa)
	docker exec -d evil timeout 60 ping -f -s 8000 $gw; docker exec -d evil timeout 60 ping -f -s 100 198.19.255.3
	docker exec -d evil timeout 60 sh -c "socat -u /dev/zero UDP4-SENDTO:$other:51820,sourceport=52001"; docker exec -d evil timeout 60 sh -c "socat -u /dev/zero UDP4-SENDTO:$gw:10053"
	until_true 10 evil pgrep socat
	all_well; up cc; in_time cc "$(ip_of aa)"; until_true 15 names cc aa "$(ip_of aa)"; docker rm -f cc >/dev/null; all_well
	evil pgrep socat; docker rm -f evil >/dev/null; all_well; agree # it went on all the time
}
t_forged_dns_answers_are_not_believed() { # by a member of the network, in the name of the server upstream, which is slow to say anything
	docker run -d --name mute --network other --ip 10.87.0.50 net:test socat -u UDP4-RECV:53 /dev/null >/dev/null
	docker run -d --name liar --network other --privileged net:test sleep 3600 >/dev/null; up asks other --dns 10.87.0.50; docker network connect mesh asks
	docker exec -i liar sh -c 'cat >/lie; chmod +x /lie' <<'E'
#!/bin/bash
# an answer to any question: 198.51.100.1
{ head -c 2; printf '\201\200\0\1\0\1\0\0\0\0\2bb\0\0\1\0\1\300\14\0\1\0\1\0\0\0\74\0\4\306\063\144\1'; } >/tmp/$$; cat /tmp/$$
E
	docker exec -d liar socat -t 10 UDP4-RECVFROM:53,fork EXEC:/lie; until_true 10 docker exec liar sh -c 'ss -Hlnu sport = :53 | grep -q .'
	eq "$(docker exec asks dig +short +time=5 +tries=1 "@$(ip_of liar other)" bb A)" 198.51.100.1 # so it lies in a way that is understood
	docker exec liar pkill socat; docker exec liar ip addr add 10.87.0.50/32 dev lo # for the answers to come from port 53
	docker exec -i liar sh -c 'cat >/forge; chmod +x /forge' <<'E'
#!/bin/bash
# to whatever port may be waiting, with an id that may be right
printf '\0\1' | /lie >/answer
while :; do for p in $(seq 32768 7 60999); do socat -u OPEN:/answer UDP4-SENDTO:$1:$p,bind=10.87.0.50:53; socat -u OPEN:/answer UDP4-SENDTO:$1:$p; done; done
E
	docker exec -d liar /forge "$(ip_of asks other)"; until_true 10 docker exec liar pgrep -f /forge
	local i; for i in 1 2 3 4 5; do names asks bb "$(ip_of bb)"; names asks liar "$(ip_of liar other)"; done
	lacks "$(docker exec asks dig +time=10 +tries=1 bb.example A)" 198.51.100.1; lacks "$(docker exec asks dig +tcp +time=10 +tries=1 bb.example A)" 198.51.100.1
	docker exec liar pgrep -f /forge >/dev/null; docker rm -f liar mute asks >/dev/null; all_well; agree
}
t_nothing_is_left() {
	docker rm -f aa bb >/dev/null; docker network rm mesh other >/dev/null; agree; eq "$(ss -Hltn 'sport >= :18580 and sport <= :18589')" ""
}
run_tests
