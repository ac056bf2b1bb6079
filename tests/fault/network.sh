#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# networks with something dead in them: daemon, forwarder, pasta, a VM, an agent; and with a guest that attacks the underlay
. "$(dirname "$0")/../lib.sh"
echo '{}' >"$ROOT/daemon.json"
NET=$ROOT/exec/net
ip_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"${2:-mesh}\").IPAddress}}" "$1"; } # CONTAINER [NETWORK]
up() { docker run -d --name "$1" --network "${2:-mesh}" "${@:3}" busybox sleep 3600 >/dev/null; }    # NAME [NETWORK [OPTION...]]
pings() { docker exec "$1" ping -c 1 -W "${3:-2}" "$2" >/dev/null; }                                   # CONTAINER ADDRESS [SECONDS]
silent() { ! pings "$1" "$2" 2; }
in_time() { until_true "${3:-15}" pings "$1" "$2" 2; }
vm_of() { docker inspect -f '{{.State.Pid}}' "$1"; }
pid_of() { awk '{print $1; exit}' "$NET/$1.pid"; }
inside() { nsenter --net="$NET/ns" "$@"; }
taps() { inside ip -o link | grep -c ': a[0-9]*:' || true; }
taps_are_vms() { eq "$(taps)" "$(all_vm_pids | wc -l)"; } # one each, the pool's included
nap() { sleep "$(awk -v r=$RANDOM -v m="${1:-400}" 'BEGIN { print r % m / 1000 }')"; } # at most MILLISECONDS
all_well() { # two that stay: each reaches the other, and what is published answers
	in_time aa "$(ip_of bb)"; in_time bb "$(ip_of aa)"; in_time aa 198.18.0.1 2>/dev/null || true; web
}
web() { until_true 10 sh -c 'curl -s --max-time 2 http://127.0.0.1:18480/ | grep -q served'; }
agree() { # rows and what runs: who runs on mesh has an address there, who does not has none
	local n; for n in $(docker ps -a --format '{{.Names}}'); do
		if [ "$(docker inspect -f '{{.State.Running}}' "$n")" = true ]; then
			[ -n "$(docker inspect "$n" | jq -r '.[0].NetworkSettings.Networks | to_entries[] | .value.IPAddress' | head -1)" ] || { echo "$n runs without an address"; return 1; }
		else
			eq "$(docker inspect "$n" | jq -r '[.[0].NetworkSettings.Networks[].IPAddress] | add')" ""
		fi
	done
	eq "$(docker network inspect mesh | jq -r '[.[0].Containers[].Name] | sort | join(" ")')" "$(docker ps --filter network=mesh --format '{{.Names}}' | sort | xargs)"
}
hanging_start() { # NAME: a start under way whose VM is stopped; $HUNG is the VM, $RUN the client
	local id file i; id=$(docker create --name "$1" --network other busybox sleep 300); file=$ROOT/exec/vm/$id/vm.json
	for i in 1 2 3 4 5 6 7 8; do
		until_true 20 eval '[ "$(all_vm_pids | wc -l)" -gt "$(vm_pids | wc -l)" ]' # one is ready
		docker start "$1" >/dev/null 2>&1 & RUN=$!
		until [ -s "$file" ]; do [ -d /proc/$RUN ] || break; done
		HUNG=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$file"); kill -STOP "$HUNG"; sleep 0.5
		[ "$(docker inspect -f '{{.State.Status}}' "$1")" = running ] || return 0
		kill -CONT "$HUNG"; wait $RUN || true; docker stop -t 0 "$1" >/dev/null
	done
	skip "every start was faster"
}

t_first_two_that_stay() {
	image busybox; docker network create --subnet 10.81.0.0/24 mesh >/dev/null; docker network create --subnet 10.82.0.0/24 other >/dev/null
	docker run -d --name aa --network mesh -p 18480:80 busybox sh -c 'mkdir /w; echo served >/w/index.html; exec httpd -f -p 80 -h /w' >/dev/null; up bb; all_well
}
t_a_stopped_daemon_cuts_nobody_off() {
	docker exec -d bb sh -c "ping -i 0.2 -w 12 $(ip_of aa) >/tmp/pings"; docker exec -d aa sh -c "ping -i 0.2 -w 12 $(ip_of bb) >/tmp/pings"; sleep 2
	arcad_stop; sleep 8; arcad_start; sleep 4
	local n; for n in aa bb; do [ "$(docker exec $n grep -c 'bytes from' /tmp/pings)" -ge 45 ] || { docker exec $n tail -3 /tmp/pings; return 1; }; done
	all_well; agree
}
t_killed_in_the_middle_of_starts() {
	local i state
	for i in 1 2 3 4 5 6; do
		docker create --name cc --network mesh -p 18481:80 busybox sleep 3600 >/dev/null
		docker start cc >/dev/null 2>&1 & nap 350; arcad_kill9; wait $! || true; arcad_start
		until_true 25 agree # a VM that is slow to answer is taken up meanwhile, or given up
		state=$(docker inspect -f '{{.State.Status}}' cc); echo "round $i: $state"
		[ "$state" = running ] || docker start cc >/dev/null
		in_time cc "$(ip_of aa)"; in_time bb "$(ip_of cc)"; agree
		eq "$(docker port cc | head -1)" "80/tcp -> 0.0.0.0:18481"; docker rm -f cc >/dev/null
	done
	all_well; until_true 20 taps_are_vms
}
t_killed_in_the_middle_of_connects() {
	local i; up dd other
	for i in 1 2 3 4 5; do
		docker network connect mesh dd >/dev/null 2>&1 & nap 120; arcad_kill9; wait $! || true; arcad_start
		docker network connect mesh dd 2>/dev/null || true
		in_time dd "$(ip_of aa)"; in_time aa "$(ip_of dd)"; agree
		docker network disconnect mesh dd >/dev/null 2>&1 & nap 120; arcad_kill9; wait $! || true; arcad_start
		docker network disconnect mesh dd 2>/dev/null || true
		eq "$(docker exec dd ls /sys/class/net | sort | xargs)" "eth0 lo"; agree
	done
	docker rm -f dd >/dev/null; all_well
}
t_a_killed_forwarder_is_started_again() {
	local p i; for i in 1 2 3; do p=$(pid_of forward); kill -9 "$p"; nap 200; web; [ "$(pid_of forward)" != "$p" ]; done
	for i in 1 2 3; do
		docker run -d --name ee -p 18482:80 busybox sleep 300 >/dev/null & nap 300; kill -9 "$(pid_of forward)"; wait $!
		eq "$(docker port ee | head -1)" "80/tcp -> 0.0.0.0:18482"; until_true 5 sh -c 'ss -Hltn "sport = :18482" | grep -q .'
		docker rm -f ee >/dev/null; eq "$(ss -Hltn 'sport = :18482')" ""
	done
	all_well
}
t_a_killed_pasta_is_started_again() {
	local p; p=$(pid_of pasta) || skip "no pasta"; kill -9 "$p"; until_true 15 sh -c "[ \"\$(awk '{print \$1; exit}' $NET/pasta.pid)\" != $p ]"; all_well
}
t_killed_vms_are_forgotten() {
	local ip i
	for i in 1 2 3; do
		up ff mesh --ip 10.81.0.99; ip=$(ip_of ff); in_time aa "$ip"; kill -9 "$(vm_of ff)"; docker wait ff >/dev/null; agree
		up gg mesh --ip 10.81.0.99; in_time aa "$ip"; in_time gg "$(ip_of bb)"; docker rm -f ff gg >/dev/null # the address is free again
	done
	docker create --name ff --network mesh busybox sleep 300 >/dev/null
	for i in 1 2 3; do
		docker start ff >/dev/null 2>&1 & nap 300; vm_pids | sort >"$ROOT/now"; { vm_of aa; vm_of bb; } | sort >"$ROOT/stay"
		comm -23 "$ROOT/now" "$ROOT/stay" | xargs -r kill -9; wait $! || true; until_true 10 sh -c "[ \$($DOCKER inspect -f '{{.State.Running}}' ff) = false ] || $DOCKER exec ff true"
		agree; docker stop -t 0 ff >/dev/null; agree
	done
	docker rm -f ff >/dev/null; all_well; until_true 20 taps_are_vms
}
t_an_agent_that_does_not_answer_holds_up_nobody() {
	local pid gone; up hh; up ii mesh --ip 10.81.0.77; up jj other; pid=$(vm_of hh); gone=$(ip_of ii); in_time hh "$gone"; kill -STOP "$pid"
	docker rm -f ii >/dev/null # a message that nobody answers
	hanging_start late; docker network connect mesh jj; in_time bb "$(ip_of jj)" 3; in_time aa "$(ip_of jj)" 3
	kill -CONT "$HUNG"; wait "$RUN" || true; up kk; in_time kk "$(ip_of bb)" 4
	kill -CONT "$pid"; in_time hh "$(ip_of jj)"; in_time kk "$(ip_of hh)"; silent hh "$gone"; docker rm -f hh jj kk late >/dev/null; all_well; agree
}
t_a_new_daemon_waits_with_no_news_for_an_agent_that_does_not_answer() {
	local pid gone; up hh; up ii mesh --ip 10.81.0.77; pid=$(vm_of hh); gone=$(ip_of ii); in_time hh "$gone"
	arcad_kill9; kill -STOP "$pid"; arcad_start # a VM is given 20 s, the others 3
	up kk; in_time kk "$(ip_of bb)" 4; in_time aa "$(ip_of kk)" 4; docker rm -f ii >/dev/null; silent aa "$gone"
	kill -CONT "$pid"; in_time hh "$(ip_of kk)"; in_time kk "$(ip_of hh)"; in_time hh "$(ip_of aa)" 4; silent hh "$gone"; docker rm -f hh kk >/dev/null; all_well; agree
}
t_connect_to_a_mute_agent_can_be_repeated() {
	local pid; up ll; pid=$(vm_of ll); kill -STOP "$pid"
	fails docker network connect other ll >/dev/null; kill -CONT "$pid"; sleep 1
	eq "$(docker exec ll ls /sys/class/net | sort | xargs)" "eth0 lo"; agree
	up mm other; docker network connect other ll; in_time ll "$(ip_of mm other)"; in_time mm "$(ip_of ll other)"
	kill -STOP "$pid"; fails docker network disconnect other ll >/dev/null; docker rename ll lll; docker rename lll ll; kill -CONT "$pid"
	docker network disconnect other ll || true; eq "$(docker exec ll ls /sys/class/net | sort | xargs)" "eth0 lo"
	docker network connect other ll; in_time ll "$(ip_of mm other)"; in_time mm "$(ip_of ll other)"; docker rm -f ll mm >/dev/null
}
t_words_of_what_cannot_be() {
	local id; up nn
	has "$(fails docker network rm mesh)" 'error while removing network: network mesh has active endpoints (name:"'
	has "$(fails docker network connect mesh nn)" 'endpoint with name nn already exists in network mesh'
	has "$(fails docker network disconnect other nn)" 'is not connected to network other'
	has "$(fails docker network connect nowhere nn)" 'network nowhere not found'; has "$(fails docker network connect mesh nobody)" 'No such container: nobody'
	has "$(fails docker network disconnect nowhere nn)" 'network nowhere not found'; has "$(fails docker network disconnect mesh nobody)" 'No such container: nobody'
	docker rm -f nn >/dev/null
}
t_a_hostile_guest_reaches_nothing() {
	local me other p; docker run -d --name evil --privileged --network host busybox sleep 3600 >/dev/null
	e() { docker exec evil sh -c "$*"; }
	me=$(e "ip -4 -o addr show eth0" | awk '{print $4}' | cut -d/ -f1); other=$(inside ip -4 route | awk -v m="$me" '$1 ~ /^198\.18\./ && $1 != m {print $1; exit}'); has "$me" 198.18.
	python3 -c 'import http.server; http.server.HTTPServer(("0.0.0.0", 18483), http.server.BaseHTTPRequestHandler).serve_forever()' 2>/dev/null & p=$!
	python3 -c 'import socket,time; s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",18484)); s.listen(); time.sleep(100)' & p="$p $!"; trap "kill $p" EXIT
	local port; for port in 18483 18484 22; do
		fails e "nc -w 2 198.19.255.1 $port </dev/null" >/dev/null; fails e "nc -w 2 198.18.0.1 $port </dev/null" >/dev/null; fails e "nc -w 2 127.0.0.1 $port </dev/null" >/dev/null
	done
	for port in 22 80 1024 51819 53; do fails e "nc -w 2 $other $port </dev/null" >/dev/null; done
	fails e "ping -c 1 -W 2 $other" >/dev/null; fails e "ping -c 1 -W 2 198.19.255.1" >/dev/null; e "ping -c 1 -W 2 198.18.0.1" >/dev/null
	fails e "ping -c 1 -W 2 $(ip_of aa)" >/dev/null
	# another one's address; the VM's own rules would masquerade it on the way out (frames that lie: tests/net/test-underlay.c)
	e "ip addr add $other/32 dev eth0; arping -U -c 3 -I eth0 $other; arping -U -c 3 -I eth0 198.18.0.1" >/dev/null 2>&1 || true; in_time aa "$(ip_of bb)"; web
	e "ip addr del $other/32 dev eth0" || true; in_time aa "$(ip_of bb)"
	e "for i in 1 2 3; do (timeout 8 sh -c 'cat /dev/zero | nc -u $other 51820' &) ; (timeout 8 sh -c 'cat /dev/urandom | nc -u 198.18.0.1 10053' &); (timeout 8 ping -f -s 1400 198.18.0.1 >/dev/null 2>&1 &); done" >/dev/null 2>&1
	e "timeout 8 sh -c 'i=1; while :; do for p in 1 2 3 4 5 6 7 8; do nc -w 1 192.0.2.\$((i % 250)) \$((i % 60000 + 1)) </dev/null & done; i=\$((i + 1)); [ \$((i % 25)) != 0 ] || sleep 0.2; done'" >/dev/null 2>&1 &
	sleep 1; in_time aa "$(ip_of bb)"; in_time bb "$(ip_of aa)"; web; up oo; in_time oo "$(ip_of aa)"; docker rm -f oo >/dev/null
	wait $! || true
	docker rm -f evil >/dev/null; all_well; agree
}
t_nothing_is_left() {
	docker rm -f aa bb >/dev/null; docker network rm mesh other >/dev/null; until_true 20 taps_are_vms; eq "$(ss -Hltn 'sport >= :18480 and sport <= :18484')" ""
}
run_tests
