#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# logs, attach, exec: bytes in order, none lost, none invented
. "$(dirname "$0")/../lib.sh"
d() { docker run -d --network none "$@"; }

t_first_of_all_load() { image busybox; }
t_logs_of_all_kinds() {
	d --name cl busybox sh -c 'echo one; echo two >&2; printf three' >/dev/null; docker wait cl >/dev/null
	eq "$(docker logs cl 2>/dev/null)" "$(printf 'one\nthree')"; eq "$(docker logs cl 2>&1 >/dev/null)" two
	eq "$(docker logs -n 1 cl 2>&1)" three; eq "$(docker logs -n 0 cl 2>&1)" ""
	docker logs -t cl 2>/dev/null >"$ROOT/t"; head -1 "$ROOT/t" | grep -qE '^[0-9]{4}-[0-9-]+T[0-9:]+\.[0-9]{9}Z one$'
	docker rm cl >/dev/null
}
t_logs_since_until() {
	d --name cl busybox sh -c 'echo early; sleep 2; echo late' >/dev/null; docker wait cl >/dev/null
	local t; t=$(docker logs -t cl | tail -1 | cut -d' ' -f1)
	eq "$(docker logs --since "$t" cl)" late
	eq "$(docker logs --until "$(date -u -d "$t - 1 second" +%Y-%m-%dT%H:%M:%S.%NZ)" cl)" early
	eq "$(docker logs --since 1h cl | wc -l)" 2
	docker rm cl >/dev/null
}
t_follow_ends_with_the_container_and_misses_nothing() {
	d --name cl busybox sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; done; sleep 1; echo end' >/dev/null
	eq "$(docker logs -f cl | md5sum)" "$( (seq 200; echo end) | md5sum)"
	docker rm cl >/dev/null
}
t_binary_output_survives() {
	d --name cl busybox sh -c 'i=0; while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i+1)); done; echo' >/dev/null; docker wait cl >/dev/null
	jq -e . "$ROOT/data/containers/$(docker inspect -f '{{.Id}}' cl)/"*-json.log >/dev/null
	docker rm cl >/dev/null
	docker run --rm --network none busybox head -c 3000000 /bin/busybox | cmp - <(docker run --rm --network none busybox cat /bin/busybox | head -c 3000000)
}
t_logs_of_a_tty_are_raw() {
	d -t --name cl busybox echo hi >/dev/null; docker wait cl >/dev/null
	eq "$(docker logs cl | tr '\r' R)" hiR
	docker rm cl >/dev/null
}
t_rotation_keeps_the_newest() {
	d --name cl --log-opt max-size=10k --log-opt max-file=2 busybox sh -c 'seq 1 3000' >/dev/null; docker wait cl >/dev/null
	eq "$(docker logs -n 1 cl)" 3000; [ "$(docker logs cl | wc -l)" -lt 3000 ]
	docker rm cl >/dev/null
	d --name cl --log-driver none busybox echo hi >/dev/null; docker wait cl >/dev/null
	has "$(fails docker logs cl)" "configured logging driver does not support reading"
	docker rm cl >/dev/null
}
t_attach_sees_live_output_and_feeds_stdin() {
	docker create -i --name ca --network none busybox sh -c 'while read x; do echo "got $x"; done; echo bye' >/dev/null
	docker start ca >/dev/null
	eq "$( (sleep 0.5; echo 1; echo 2) | docker attach ca)" "$(printf 'got 1\ngot 2\nbye')"
	eq "$(docker wait ca)" 0; docker rm ca >/dev/null
}
t_detach_keys_leave_it_running() {
	d -it --name ca busybox sh >/dev/null
	(sleep 1; printf 'echo typed\n'; sleep 1; printf '\020\021') | tty_docker "attach ca" >"$ROOT/typed" || true
	has "$(tr '\r' R <"$ROOT/typed")" $'\ntypedR'; has "$(cat "$ROOT/typed")" "read escape sequence"
	eq "$(docker inspect -f '{{.State.Running}}' ca)" true; docker rm -f ca >/dev/null
}
t_attach_replays_logs_when_asked() {
	d --name ca busybox sh -c 'echo before; sleep 2; echo after' >/dev/null
	until_true 10 logs_have ca before
	has "$(curl -sS -N --max-time 10 --unix-socket "$SOCK" -X POST 'http://localhost/containers/ca/attach?logs=1&stream=1&stdout=1' --output - | tr -d '\000\001')" before
	docker rm -f ca >/dev/null
}
t_resize_reaches_the_terminal() {
	d -it --name ca busybox sh >/dev/null
	eq "$(status POST '/containers/ca/resize?h=33&w=77')" 200
	eq "$(docker exec ca stty -F /dev/pts/0 size)" "33 77"
	docker rm -f ca >/dev/null
}
t_exec_runs_beside() {
	d --name ce -e A=container -w /tmp busybox sleep 300 >/dev/null
	eq "$(docker exec ce echo hi)" hi; eq "$(docker exec ce pwd)" /tmp; eq "$(docker exec -e B=2 ce sh -c 'echo $A $B')" "container 2"
	eq "$(docker exec -u 7:8 ce id -u)" 7; eq "$(docker exec -w /etc ce pwd)" /etc
	local rc=0; docker exec ce sh -c 'exit 6' || rc=$?; eq "$rc" 6
	rc=0; docker exec ce nosuch >"$ROOT/o" 2>&1 || rc=$?; eq "$rc" 127; has "$(cat "$ROOT/o")" "executable file not found"
	eq "$(echo in | docker exec -i ce cat)" in
	docker exec -d ce sh -c 'echo done >/tmp/d'; until_true 10 docker exec ce test -f /tmp/d
	has "$(docker exec ce ps)" "sleep 300"
	has "$(docker top ce)" "sleep 300"
	docker exec ce sh -c 'echo out; echo err >&2' >"$ROOT/o" 2>"$ROOT/e"; eq "$(cat "$ROOT/o")" out; eq "$(cat "$ROOT/e")" err
	docker rm -f ce >/dev/null
}
t_exec_over_the_raw_api() {
	d --name ce busybox sleep 300 >/dev/null
	local c=(-H 'Content-Type: application/json') x
	x=$(api POST /containers/ce/exec "${c[@]}" -d '{"Cmd":["sh","-c","exit 9"]}' | jq -r .Id)
	eq "$(status POST "/exec/$x/start" "${c[@]}" -d '{"Detach":true}')" 200
	until_true 10 sh -c "curl -s --unix-socket $SOCK http://x/exec/$x/json | jq -e '.ExitCode == 9 and (.Running | not)'"
	eq "$(status POST /containers/ce/exec "${c[@]}" -d '{"Cmd":[]}')" 400
	has "$(api POST /containers/ce/exec "${c[@]}" -d '{"Cmd":[]}')" "No exec command specified"
	eq "$(status GET /exec/nosuch/json)" 404
	docker stop -t 0 ce >/dev/null
	eq "$(status POST /containers/ce/exec "${c[@]}" -d '{"Cmd":["true"]}')" 409
	docker rm ce >/dev/null
}
t_exec_with_a_terminal() {
	d --name ce busybox sleep 300 >/dev/null
	has "$(tty_docker "exec -it ce sh -c 'tty'" </dev/null)" /dev/pts/
	docker rm -f ce >/dev/null
}
t_attach_names_the_type_of_its_stream() {
	docker run -d --name typed --network none busybox sleep 300 >/dev/null
	attach_type() { # VERSION [curl args]
		local v=$1; shift
		(curl -si --max-time 1 -N -X POST --unix-socket "$SOCK" "$@" "http://x/v$v/containers/typed/attach?stdout=1&stream=1" || true) | tr -d '\r' | sed -n 's,^Content-Type: application/vnd.docker.,,p'
	}
	local up=(-H 'Connection: Upgrade' -H 'Upgrade: tcp')
	eq "$(attach_type 1.51)" raw-stream; eq "$(attach_type 1.41)" raw-stream
	eq "$(attach_type 1.51 "${up[@]}")" multiplexed-stream; eq "$(attach_type 1.41 "${up[@]}")" raw-stream
	docker rm -f typed >/dev/null
}

echo '{}' >"$ROOT/daemon.json"
run_tests
