#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# link_ports.sh - with --icc=false a link opens what its target exposes, from the one side, and nothing else
. "$(dirname "$0")/../lib.sh"
echo '{"icc":false}' >"$ROOT/daemon.json"
no() { ! "$@" >/dev/null 2>&1; } # `!` alone would not end a test
ip_of() { docker inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' "$1"; }
serve='tcp() { socat TCP-LISTEN:$1,fork,reuseaddr EXEC:hostname & }; udp() { socat UDP-LISTEN:$1,fork EXEC:hostname & }; tcp 80; tcp 81; udp 53; udp 54; exec sleep 100000'
up() { docker run -d --name "$1" --hostname "at-$1" --cap-add NET_ADMIN "${@:2}" net:test bash -c "$serve" >/dev/null; } # NAME [OPTION...]
get() { docker exec "$1" timeout "${4:-5}" socat -u "TCP:$2:$3${5:-}" - | grep at-; } # CONTAINER HOST PORT [SECONDS [SOCKET-OPTIONS]]
asks() { docker exec "$1" sh -c "echo | timeout 4 socat -t 3 - UDP:$2:${3:-53}" | grep at-; } # CONTAINER ADDRESS [PORT]
pings() { docker exec "$1" ping -c 1 -W 2 "$2"; }
shut() { local ip; ip=$(ip_of "$2"); get "$2" 127.0.0.1 "${3:-80}" >/dev/null; docker exec "$1" true; no get "$1" "$ip" "${3:-80}" 2; } # FROM TO [PORT]
opens() { until_true 15 get "$1" "$(ip_of "$2")" 80 2; }
only_the_link() { # nothing but what app may
	shut app db 81; no asks app "$(ip_of db)" 54; no pings app "$(ip_of db)"; no pings db "$(ip_of app)"; shut db app; shut db app 81
	shut other db; shut db other; no pings other "$(ip_of db)"; shut other app; shut app other; no pings app "$(ip_of other)"
}

t_first_a_link() { image net; up db --expose 80 --expose 53/udp; up app --expose 80 --link db:store; up other --expose 80; }
t_what_is_exposed_is_reached() { eq "$(get app store 80)" at-db; eq "$(asks app "$(ip_of db)")" at-db; eq "$(get app "$(ip_of db)" 80)" at-db; }
t_nothing_else_is() { only_the_link; }
t_answers_do_not_open_the_other_way() { # a connection from an open port is no answer, and who takes another's address is not heard
	local a d; a=$(ip_of app); d=$(ip_of db)
	docker exec db pkill -f LISTEN:80; no get db "$a" 80 2 ,bind=:80,reuseaddr; docker exec -d db socat TCP-LISTEN:80,fork,reuseaddr EXEC:hostname; opens app db
	docker exec other ip addr add "$a/32" dev eth0; no get other "$d" 80 2 ",bind=$a"; docker exec other ip addr del "$a/32" dev eth0
	docker exec app ip route add "$(ip_of other)/32" via 172.17.0.1; shut app other; docker exec app ip route del "$(ip_of other)/32"
}
t_a_target_that_restarts_is_reached_again() { docker restart -t 0 db >/dev/null; opens app db; only_the_link; docker kill db >/dev/null; docker start db >/dev/null; opens app db; shut app db 81; shut other db; }
t_one_who_restarts_reaches_it_again() { docker restart -t 0 app >/dev/null; opens app db; only_the_link; }
t_a_target_has_many() { # and one who has its address later has none of that
	local was; up a2 --link db --link other:o; opens a2 db; opens a2 other; shut a2 app; shut app other; was=$(ip_of a2); docker rm -f a2 >/dev/null
	up a3 --ip "$was" 2>/dev/null || { docker rm -f a3 >/dev/null 2>&1 || true; up a3; }
	shut a3 db; shut a3 other; docker rm -f a3 >/dev/null; opens app db
}
t_published_ports_count() { up pub -p 127.0.0.1:8961:81; up a2 --link pub; until_true 15 get a2 "$(ip_of pub)" 81 2; shut a2 pub; shut other pub 81; until_true 10 sh -c "socat -u -T 3 TCP:127.0.0.1:8961 - | grep at-pub"; docker rm -f a2 pub >/dev/null; }
t_one_that_exposes_nothing_opens_nothing() { up bare; up a2 --link bare; shut a2 bare; shut a2 bare 81; docker rm -f a2 bare >/dev/null; }
t_many_members_change_nothing() { # joins are held then
	local n; for n in m1 m2 m3; do up $n; done
	up a2 --link db; opens a2 db; shut a2 db 81; shut m1 db; shut a2 m1; docker rm -f m1 m2 m3 a2 >/dev/null
}
t_a_new_daemon_keeps_them() { arcad_kill9; arcad_start; opens app db; asks app "$(ip_of db)"; only_the_link; docker restart -t 0 db >/dev/null; opens app db; shut other db; }
t_new_keys_keep_them() {
	arcad_stop; ARCAD_ARGS+=(--network-key-rotation 2); arcad_start
	until_true 30 grep -q "container $(docker inspect -f '{{.Id}}' db | cut -c1-12) has a new key" "$ROOT/arcad.log"; opens app db; shut other db; shut app db 81; arcad_stop; ARCAD_ARGS=(); arcad_start
}
t_disconnected_and_back() { docker network disconnect bridge db; docker network connect bridge db; opens app db; shut app db 81; shut other db; }
t_without_the_link_they_are_shut() {
	docker rm --link app/store >/dev/null; shut app db; no asks app "$(ip_of db)"; only_the_link; arcad_kill9; arcad_start; shut app db; shut other db
	docker restart -t 0 db app >/dev/null; shut app db
}
t_where_all_reach_each_other_a_link_shuts_nothing() {
	docker rm -f app db other >/dev/null; arcad_stop; echo '{}' >"$ROOT/daemon.json"; arcad_start
	up db --expose 80; up app --link db; up other; opens app db; get app "$(ip_of db)" 81 >/dev/null; get other "$(ip_of db)" 81 >/dev/null; pings db "$(ip_of app)" >/dev/null
}
t_nothing_is_left() { docker rm -f app db other >/dev/null; until_true 10 no_vms; }
run_tests
