#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# arcad --network-check: rows and kernel agree while networks work; each way in which they may not is named; beside a daemon
# and without one
. "$(dirname "$0")/../lib.sh"
echo '{}' >"$ROOT/daemon.json"
NET=$ROOT/exec/net
check() { "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" --exec-root "$ROOT/exec" --network-check 2>&1; }
agrees() { local out; out=$(check) || { echo "$out"; return 1; }; has "$(tail -1 <<<"$out")" "state and kernel agree: "; }
differs() { # WHAT NAME DIFFERENCE: that row says so, and nothing else is wrong
	local out; out=$(fails check); has "$(row "$1" "$2" <<<"$out")" "$3"; has "$(tail -1 <<<"$out")" "state and kernel differ: "
	eq "$(sed '1d; $d' <<<"$out" | grep -cvE ' ok$| ok, it changes')" "${4:-1}"
}
in_the_end() { local i; for i in 1 2 3 4; do "$@" >/dev/null && return 0; done; "$@"; } # a check that differs takes its time
row() { awk -v what="$1" -v name="${2:-}" '$1 == what && (name == "" || $2 == name)'; } # WHAT [NAME]
up() { docker run -d --name "$1" "${@:2}" busybox sleep 3600 >/dev/null; }
pid_of() { awk '{print $1; exit}' "$NET/$1.pid"; }
inside() { nsenter --net="$NET/ns" "$@"; }
id_of() { docker inspect -f '{{.Id}}' "$1"; }
tap_of() { echo "a$(jq .nic "$ROOT/exec/vm/$(id_of "$1")/vm.json")"; }
endpoint_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"$2\").EndpointID}}" "$1"; } # CONTAINER NETWORK
docker_pid() { jq .pid "$ROOT/exec/vm/$(sql_of "SELECT id FROM containers WHERE name = '$1'")/vm.json"; } # without a daemon
short() { cut -c 1-12 <<<"$1"; }
sql_of() { python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])' "$ROOT/data/arca.db" "$1"; }
sql() { python3 -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()' "$ROOT/data/arca.db" "$1"; }

t_first_containers_of_every_kind() {
	image busybox; docker network create --subnet 10.61.0.0/24 mesh >/dev/null; docker network create --ipv6 --subnet 10.62.0.0/24 --subnet fd62::/64 six >/dev/null
	docker network create -d vmnet --subnet 10.63.0.0/24 wire >/dev/null; docker network create -d vmnet --internal --subnet 10.64.0.0/24 dark >/dev/null
	up aa --network mesh -p 18680:80 -p 18681-18683:81-83/udp -p 84; up bb --network mesh --network six --network wire; up cc --network dark
	up dd --add-host host.docker.internal:host-gateway; up ee --network host; up ff --network none; up gone --network mesh; docker rm -f gone >/dev/null
}
pool_is_shown() { eq "$(check | row tap | grep -c 'of a VM that nobody has yet')" "$(($(all_vm_pids | wc -l) - 6))"; } # it fills meanwhile
t_they_agree_while_all_of_them_run() {
	local out; out=$(check) || { echo "$out"; return 1; }
	has "$(row vm aa <<<"$out")" "runs, $(tap_of aa)"; has "$(row vm aa <<<"$out")" "pid $(docker inspect -f '{{.State.Pid}}' aa), $(tap_of aa) up"
	eq "$(row vm dd <<<"$out" | grep -o 'reaches the host' | wc -l)" 2; lacks "$(row vm aa <<<"$out")" "reaches the host"
	eq "$(row vm <<<"$out" | wc -l)" 6; until_true 20 pool_is_shown
	eq "$(row ports aa <<<"$out" | awk '{print $3, $4}')" "10 10"
	has "$(row endpoint six/bb <<<"$out")" "10.62.0.2 fd62::2"; has "$(row endpoint wire/bb <<<"$out")" "vt$(short "$(endpoint_of bb wire)")"
	has "$(row network wire <<<"$out")" "vn$(short "$(docker network inspect -f '{{.Id}}' wire)")"; has "$(row network mesh <<<"$out")" "bridge, 2 running"
	has "$(row daemon <<<"$out")" "pid $(arcad_pid)"; has "$(row forwarder <<<"$out")" "pid $(pid_of forward)"
}
t_it_changes_nothing() {
	local before; before=$(inside ip -o link; inside nft -s list ruleset; stat -c '%n %Y %i' "$ROOT"/data/arca.db "$NET"/*)
	agrees; eq "$(inside ip -o link; inside nft -s list ruleset; stat -c '%n %Y %i' "$ROOT"/data/arca.db "$NET"/*)" "$before"
}
t_what_starts_and_ends_is_no_difference() {
	(while [ ! -e "$ROOT/enough" ]; do docker run --rm --network mesh -p 18690:80 busybox true || touch "$ROOT/bad"; done) & local p=$!
	local i; for i in 1 2 3 4 5 6; do agrees || break; done; touch "$ROOT/enough"; wait $p; [ ! -e "$ROOT/bad" ]; [ "$i" = 6 ]; agrees
}
t_a_folder_without_data_is_no_success() { has "$(fails "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/none" --network-check)" "there is no data of arcad"; }
t_a_tap_of_nobodys() {
	inside ip tuntap add a77 mode tap; differs tap a77 "a tap that no VM has"; inside ip link del a77; agrees
}
t_a_tap_that_was_deleted() { # nothing brings it back to a VM: the container is started anew
	inside ip link del "$(tap_of bb)"; differs vm bb "its tap is missing"; docker restart -t 0 bb >/dev/null; agrees
}
t_a_way_that_was_deleted() {
	inside ip neigh del "$(inside ip -4 neigh show dev "$(tap_of bb)" | awk '{print $1; exit}')" dev "$(tap_of bb)"
	differs vm bb "its tap lacks routes or neighbours"; docker restart -t 0 bb >/dev/null; agrees
	inside ip link set "$(tap_of bb)" down; differs vm bb "its tap is down"; docker restart -t 0 bb >/dev/null; agrees
}
t_who_reaches_the_host() { # the next daemon puts it right
	inside nft add element inet arca hostgw "{ \"$(tap_of aa)\" }"; differs vm aa "it may reach the host and did not ask"
	arcad_stop; arcad_start; agrees
	inside nft delete element inet arca hostgw "{ \"$(tap_of dd)\" }"; differs vm dd "it asked for the host and may not reach it"
	arcad_stop; arcad_start; agrees
}
t_rules_that_were_changed() {
	inside nft insert rule inet arca forward accept; differs rules inet "other rules are in force"; arcad_stop; arcad_start; agrees
	inside nft delete table inet arca; differs rules inet "other rules are in force" 2; # dd reaches the host no more, either
	 arcad_stop; arcad_start; agrees
}
t_a_vmnet_that_was_tampered_with() {
	local tap bridge; tap=vt$(short "$(endpoint_of bb wire)"); bridge=vn$(short "$(docker network inspect -f '{{.Id}}' wire)")
	inside ip link set "$tap" nomaster; differs endpoint wire/bb "its port is not on the network's bridge"; inside ip link set "$tap" master "$bridge"; agrees
	inside nft flush chain netdev arca "$tap"; inside nft delete chain netdev arca "$tap"; differs endpoint wire/bb "nothing guards its port"; docker restart -t 0 bb >/dev/null; agrees
	inside ip link set "vn$(short "$(docker network inspect -f '{{.Id}}' dark)")" group 1986293; differs network dark "its bridge leads outside"
	docker restart -t 0 cc >/dev/null; agrees
	inside ip link add vn0123456789ab type bridge; differs bridge vn0123456789ab "no network has it"; arcad_stop; arcad_start; agrees
}
t_a_helper_that_was_killed() { # beside a daemon it is started again
	kill -9 "$(pid_of forward)"; kill -9 "$(pid_of pasta)"; in_the_end agrees
}
t_without_a_daemon() {
	arcad_stop; agrees; has "$(check | row daemon)" none
	kill -9 "$(pid_of forward)"; differs forwarder - "it does not run" 2; has "$(fails check | row ports)" "a port is not published"
	kill -9 "$(pid_of pasta)"; until_true 5 eval 'has "$(fails check | row pasta)" "pasta does not run"'
	arcad_start; in_the_end agrees
	arcad_kill9; agrees; arcad_start; agrees
}
t_a_vm_that_was_killed_meanwhile() {
	arcad_stop; kill -9 "$(docker_pid bb)"; until_true 10 test ! -d "/proc/$(docker_pid bb)"; differs vm bb "its VM is gone" 2
	arcad_start; in_the_end agrees; eq "$(docker inspect -f '{{.State.Status}}' bb)" exited
	docker start bb >/dev/null; kill -9 "$(docker_pid bb)"; docker wait bb >/dev/null; agrees; docker start bb >/dev/null; agrees
}
t_rows_that_say_something_else() {
	local id; id=$(id_of aa); arcad_stop; sql "UPDATE containers SET vm = 0, state = 'exited' WHERE name = 'aa'"
	differs vm aa "a VM of what does not run" 4; local out; out=$(fails check)
	has "$(row ports aa <<<"$out")" "ports of what does not run"; has "$(row endpoint mesh/aa <<<"$out")" "an endpoint of what does not run"
	has "$(row addresses <<<"$out")" "in use by what does not run"
	arcad_start; in_the_end agrees; docker start aa >/dev/null; agrees
}
t_nothing_is_left() {
	docker rm -f aa bb cc dd ee ff >/dev/null; docker network rm mesh six wire dark >/dev/null; agrees; arcad_stop; agrees; arcad_start
}
run_tests
