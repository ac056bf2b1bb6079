#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# logs, attach, exec: bytes in order, none lost, none invented
. "$(dirname "$0")/../lib.sh"
d() { docker run -d --network none "$@"; }

t_first_of_all_load() { image busybox; }
t_logs_of_all_kinds() {
	d --name l busybox sh -c 'echo one; echo two >&2; printf three' >/dev/null; docker wait l >/dev/null
	eq "$(docker logs l 2>/dev/null)" "$(printf 'one\nthree')"; eq "$(docker logs l 2>&1 >/dev/null)" two
	eq "$(docker logs -n 1 l 2>&1)" three; eq "$(docker logs -n 0 l 2>&1)" ""
	docker logs -t l 2>&1 | head -1 | grep -qE '^[0-9]{4}-[0-9-]+T[0-9:]+\.[0-9]{9}Z one$'
	docker rm l >/dev/null
}
t_logs_since_until() {
	d --name l busybox sh -c 'echo early; sleep 2; echo late' >/dev/null; docker wait l >/dev/null
	local t; t=$(docker logs -t l | tail -1 | cut -d' ' -f1)
	eq "$(docker logs --since "$t" l)" late
	eq "$(docker logs --until "$(date -u -d "$t - 1 second" +%Y-%m-%dT%H:%M:%S.%NZ)" l)" early
	eq "$(docker logs --since 1h l | wc -l)" 2
	docker rm l >/dev/null
}
t_follow_ends_with_the_container_and_misses_nothing() {
	d --name l busybox sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; done; sleep 1; echo end' >/dev/null
	eq "$(docker logs -f l | md5sum)" "$( (seq 200; echo end) | md5sum)"
	docker rm l >/dev/null
}
t_binary_output_survives() {
	d --name l busybox sh -c 'i=0; while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i+1)); done; echo' >/dev/null; docker wait l >/dev/null
	jq -e . "$ROOT/data/containers/$(docker inspect -f '{{.Id}}' l)/"*-json.log >/dev/null
	docker rm l >/dev/null
	docker run --rm --network none busybox head -c 3000000 /bin/busybox | cmp - <(docker run --rm --network none busybox cat /bin/busybox | head -c 3000000)
}
t_logs_of_a_tty_are_raw() {
	d -t --name l busybox echo hi >/dev/null; docker wait l >/dev/null
	eq "$(docker logs l | od -c | head -1 | xargs)" '0000000 h i \r \n'
	docker rm l >/dev/null
}
t_rotation_keeps_the_newest() {
	d --name l --log-opt max-size=10k --log-opt max-file=2 busybox sh -c 'seq 1 3000' >/dev/null; docker wait l >/dev/null
	eq "$(docker logs -n 1 l)" 3000; [ "$(docker logs l | wc -l)" -lt 3000 ]
	docker rm l >/dev/null
	d --name l --log-driver none busybox echo hi >/dev/null; docker wait l >/dev/null
	has "$(fails docker logs l)" "configured logging driver does not support reading"
	docker rm l >/dev/null
}
t_attach_sees_live_output_and_feeds_stdin() {
	d -i --name a busybox sh -c 'while read x; do echo "got $x"; done; echo bye' >/dev/null
	eq "$( (sleep 0.5; echo 1; echo 2) | docker attach a)" "$(printf 'got 1\ngot 2\nbye')"
	eq "$(docker wait a)" 0; docker rm a >/dev/null
}
t_detach_keys_leave_it_running() {
	d -it --name a busybox sh >/dev/null
	(sleep 1; printf 'echo typed\n'; sleep 1; printf '\020\021') | script -qec "timeout 20 $DOCKER -H unix://$SOCK attach a" /dev/null >"$ROOT/typed" || true
	has "$(cat "$ROOT/typed")" typed
	eq "$(docker inspect -f '{{.State.Running}}' a)" true; docker rm -f a >/dev/null
}
t_attach_replays_logs_when_asked() {
	d --name a busybox sh -c 'echo before; sleep 2; echo after' >/dev/null
	until_true 10 has "$(docker logs a)" before
	has "$(curl -sS -N --max-time 10 --unix-socket "$SOCK" -X POST 'http://localhost/containers/a/attach?logs=1&stream=1&stdout=1' --output - | tr -d '\000\001')" before
	docker rm -f a >/dev/null
}
t_resize_reaches_the_terminal() {
	d -it --name a busybox sh >/dev/null
	eq "$(status POST '/containers/a/resize?h=33&w=77')" 200
	eq "$(docker exec a stty -F /dev/pts/0 size)" "33 77"
	docker rm -f a >/dev/null
}
t_exec_runs_beside() {
	d --name e -e A=container -w /tmp busybox sleep 300 >/dev/null
	eq "$(docker exec e echo hi)" hi; eq "$(docker exec e pwd)" /tmp; eq "$(docker exec -e B=2 e sh -c 'echo $A $B')" "container 2"
	eq "$(docker exec -u 7:8 e id -u)" 7; eq "$(docker exec -w /etc e pwd)" /etc
	local rc=0; docker exec e sh -c 'exit 6' || rc=$?; eq "$rc" 6
	rc=0; docker exec e nosuch >"$ROOT/o" 2>&1 || rc=$?; eq "$rc" 127; has "$(cat "$ROOT/o")" "executable file not found"
	eq "$(echo in | docker exec -i e cat)" in
	docker exec -d e sh -c 'echo done >/tmp/d'; until_true 10 docker exec e test -f /tmp/d
	has "$(docker exec e ps)" "sleep 300"
	has "$(docker top e)" "sleep 300"
	docker exec e sh -c 'echo out; echo err >&2' >"$ROOT/o" 2>"$ROOT/e"; eq "$(cat "$ROOT/o")" out; eq "$(cat "$ROOT/e")" err
	docker rm -f e >/dev/null
}
t_exec_over_the_raw_api() {
	d --name e busybox sleep 300 >/dev/null
	local c=(-H 'Content-Type: application/json') x
	x=$(api POST /containers/e/exec "${c[@]}" -d '{"Cmd":["sh","-c","exit 9"]}' | jq -r .Id)
	eq "$(status POST "/exec/$x/start" "${c[@]}" -d '{"Detach":true}')" 200
	until_true 10 sh -c "curl -s --unix-socket $SOCK http://x/exec/$x/json | jq -e '.ExitCode == 9 and (.Running | not)'"
	has "$(docker inspect -f '{{.ExecIDs}}' e)" "" 
	eq "$(status POST /containers/e/exec "${c[@]}" -d '{"Cmd":[]}')" 400
	has "$(api POST /containers/e/exec "${c[@]}" -d '{"Cmd":[]}')" "No exec command specified"
	eq "$(status GET /exec/nosuch/json)" 404
	docker stop -t 0 e >/dev/null
	eq "$(status POST /containers/e/exec "${c[@]}" -d '{"Cmd":["true"]}')" 409
	docker rm e >/dev/null
}
t_exec_with_a_terminal() {
	d --name e busybox sleep 300 >/dev/null
	has "$(script -qec "timeout 20 $DOCKER -H unix://$SOCK exec -it e sh -c 'tty'" /dev/null </dev/null)" /dev/pts/
	docker rm -f e >/dev/null
}

echo '{}' >"$ROOT/daemon.json"
run_tests
