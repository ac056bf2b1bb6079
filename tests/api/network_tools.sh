#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# network_tools.sh - networks through the tools that people use, in an image of Debian packages: ping, iperf3, curl and nginx,
# dig, nc
. "$(dirname "$0")/../lib.sh"
echo '{}' >"$ROOT/daemon.json"
up() { docker run -d --name "$1" --network six "${@:2}" net:test sleep 3600 >/dev/null; }
x() { docker exec "$@"; }
listens() { x "$1" sh -c "ss -Hln$3 sport = :$2 | grep -q ."; } # CONTAINER PORT t|u
serving() { until_true 20 listens "$@"; }
got() { eq "$(x "$1" sh -c "wc -c <$2")" "$3"; } # CONTAINER FILE BYTES
addr() { docker inspect -f "{{.NetworkSettings.Networks.six.$2}}" "$1"; }
v4() { addr "$1" IPAddress; }
v6() { addr "$1" GlobalIPv6Address; }
resolve() { x aa dig +time=5 +tries=2 @127.0.0.11 "$@"; }
short() { resolve +short "$@"; }
status_of() { sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }

t_first_the_image_and_two_containers() {
	image net; docker network create --ipv6 --subnet 10.85.0.0/24 --subnet fd85::/64 six >/dev/null
	up aa; up bb --network-alias bee -p 18880:5201 -p 18880:5201/udp -p 18881:7000 -p 18882:7001/udp
	docker run -d --name web --network six -p 18883:80 net:test sh -c \
		'head -c 12000000 /dev/urandom >/var/www/html/body; sha256sum </var/www/html/body >/var/www/html/sum; exec nginx -g "daemon off;"' >/dev/null
}
t_ping_by_name_in_both_families() {
	has "$(x aa ping -4 -c 3 -i 0.2 -W 10 bb)" "3 packets transmitted, 3 received, 0% packet loss"; has "$(x aa ping -6 -c 3 -i 0.2 -W 10 bee)" "3 packets transmitted, 3 received, 0% packet loss"
	has "$(x bb ping -4 -c 1 -W 10 aa)" "($(v4 aa))"; has "$(x bb ping -6 -n -c 1 -W 10 aa)" "$(v6 aa)"
	has "$(x aa ping -4 -c 1 -W 10 -s 20000 bb)" "20008 bytes from"; has "$(x aa ping -6 -c 1 -W 10 -s 20000 bb)" "20008 bytes from" # in fragments
	has "$(fails x aa ping -c 1 nobody)" "Name or service not known"
}
iperf() { # WHERE... : ran to its end; how much is in buffers then is not asked
	local out; out=$("$@" -J) || { echo "$out"; return 1; }
	echo "$out" | jq -e '.error == null and .end.sum_sent.bytes >= 4000000 and .end.sum_received.bytes > 0' >/dev/null || { jq .end <<<"$out"; return 1; }
}
datagrams() { # of a thousand some may be lost, not most
	local out; out=$("$@" -J) || { echo "$out"; return 1; }
	jq -e '.error == null and .end.sum.packets >= 1000 and .end.sum.lost_packets < .end.sum.packets / 2' <<<"$out" >/dev/null || { jq .end <<<"$out"; return 1; }
}
t_iperf3_between_containers() {
	x -d bb iperf3 -s; serving bb 5201 t
	iperf x aa iperf3 -c bb -n 4M; iperf x aa iperf3 -6 -c bb -n 4M; iperf x aa iperf3 -c bb -R -n 4M
	datagrams x aa iperf3 -u -c bb -l 1000 -b 4M -n 1000K; datagrams x aa iperf3 -6 -u -c bb -l 1000 -b 4M -n 1000K
}
t_iperf3_to_a_published_port() {
	iperf iperf3 -c 127.0.0.1 -p 18880 -n 4M; iperf iperf3 -c ::1 -p 18880 -n 4M; iperf iperf3 -c 127.0.0.1 -p 18880 -R -n 4M
	datagrams iperf3 -u -c 127.0.0.1 -p 18880 -l 1000 -b 4M -n 1000K
}
t_curl_and_nginx() {
	local sum; serving web 80 t; sum=$(x web cat /var/www/html/sum)
	eq "$(x aa sh -c 'curl -sS http://web/body | sha256sum')" "$sum"; eq "$(x aa sh -c 'curl -sS -4 http://web/sum; curl -sS -4 http://web/body | sha256sum')" "$sum
$sum"
	eq "$(curl -sS http://127.0.0.1:18883/body | sha256sum)" "$sum"; eq "$(curl -sS http://[::1]:18883/body | sha256sum)" "$sum"
	eq "$(curl -sS -r 5000000-5999999 http://127.0.0.1:18883/body | wc -c)" 1000000
	has "$(curl -sSI http://127.0.0.1:18883/body)" "Server: nginx"; eq "$(curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:18883/none)" 404
	eq "$(seq 20 | xargs -P 8 -I{} sh -c 'curl -sS http://127.0.0.1:18883/body | sha256sum' | sort -u)" "$sum" # eight at a time
}
t_dig_names_and_addresses() {
	eq "$(short bb A)" "$(v4 bb)"; eq "$(short bb AAAA)" "$(v6 bb)"; eq "$(short BEE A)" "$(v4 bb)"; eq "$(short bb.six A)" "$(v4 bb)"
	eq "$(short -x "$(v4 bb)")" bb.six.; eq "$(short -x "$(v6 bb)")" bb.six.
	eq "$(short +tcp bb A)" "$(v4 bb)"; eq "$(short +tcp -x "$(v6 bb)")" bb.six.; eq "$(short +notcp +noedns bb A)" "$(v4 bb)"
	eq "$(resolve bb A | awk '$4 == "A" {print $2}')" 600; eq "$(resolve bb MX | status_of)" NOERROR; eq "$(short bb MX)" ""
}
t_dig_what_is_not_known() {
	docker network create --internal inner >/dev/null; docker run -d --name hidden --network inner net:test sleep 3600 >/dev/null
	local q; for q in bb nobody.invalid "nobody.invalid AAAA" "hidden TXT" "hidden ANY" "-x 192.0.2.1"; do
		# shellcheck disable=SC2086 # words
		eq "$(x hidden dig +time=5 +tries=1 @127.0.0.11 $q | status_of)" SERVFAIL # nobody upstream may be asked
	done
	eq "$(x hidden dig +short @127.0.0.11 hidden A)" "$(docker inspect -f '{{.NetworkSettings.Networks.inner.IPAddress}}' hidden)"
	docker rm -f hidden >/dev/null; docker network rm inner >/dev/null
}
t_dig_with_a_search_domain() {
	docker run -d --name ss --network six --dns-search six --dns-option ndots:2 net:test sleep 3600 >/dev/null
	has "$(x ss cat /etc/resolv.conf)" "search six"; eq "$(x ss dig +search +short bb A)" "$(v4 bb)"; has "$(x ss ping -4 -c 1 -W 10 bb)" "1 received"
	docker rm -f ss >/dev/null
}
t_nc_half_closed_both_ways() {
	# the client's end first: what it sent is whole, and the answer comes after
	x -d bb sh -c 'nc -l 7000 >/tmp/up; echo done >/tmp/up.end'; serving bb 7000 t; head -c 3000000 /dev/urandom >"$ROOT/body"
	timeout 60 nc -N 127.0.0.1 18881 <"$ROOT/body"; until_true 20 x bb test -e /tmp/up.end; eq "$(x bb sha256sum /tmp/up | cut -c 1-64)" "$(sha256sum <"$ROOT/body" | cut -c 1-64)"
	x -d bb socat TCP6-LISTEN:7000,ipv6only=0 'SYSTEM:sha256sum'; serving bb 7000 t; eq "$(timeout 60 nc -N 127.0.0.1 18881 <"$ROOT/body" | cut -c 1-64)" "$(sha256sum <"$ROOT/body" | cut -c 1-64)"
	# the server's end first: the client reads to it and goes on sending
	x -d bb sh -c 'echo hello | nc -N -l 7000 >/tmp/late; echo done >/tmp/late.end'; serving bb 7000 t
	mkfifo "$ROOT/say"; timeout 60 nc -N 127.0.0.1 18881 <"$ROOT/say" >"$ROOT/heard" & local p=$!
	exec 8>"$ROOT/say"; until_true 20 grep -q hello "$ROOT/heard"; head -c 100000 "$ROOT/body" >&8; exec 8>&-; wait $p
	until_true 20 x bb test -e /tmp/late.end; got bb /tmp/late 100000
}
t_nc_udp() {
	x -d bb sh -c 'timeout 120 nc -u -l 7001 >/tmp/datagrams'; serving bb 7001 u; printf one | timeout 60 nc -u -w 1 127.0.0.1 18882; until_true 20 got bb /tmp/datagrams 3
	x -d bb socat -T 60 UDP6-LISTEN:7003,ipv6only=0,fork EXEC:cat; serving bb 7003 u
	eq "$(x aa sh -c 'printf "to and fro" | timeout 60 nc -u -w 2 bb 7003')" "to and fro"; eq "$(x aa sh -c "printf six | timeout 60 nc -6 -u -w 2 bb 7003")" six
}
t_nothing_is_left() { docker rm -f aa bb web >/dev/null; docker network rm six >/dev/null; eq "$(ss -Hltnu 'sport >= :18880 and sport <= :18883')" ""; }
run_tests
