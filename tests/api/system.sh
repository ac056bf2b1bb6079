#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# version, info, _ping, negotiation, errors: what every client asks first
. "$(dirname "$0")/../lib.sh"

t_ping_carries_dockers_headers() {
	local h; h=$(api GET /_ping -i)
	has "$h" "200 OK"; has "$h" "Api-Version: 1."; has "$h" "Docker-Experimental: false"; has "$h" "Ostype: linux"
	has "$h" "Cache-Control: no-cache, no-store, must-revalidate"; has "$h" "Builder-Version: "
	h=$(curl -sS --max-time 5 --unix-socket "$SOCK" -I http://localhost/_ping)
	has "$h" "200 OK"; has "$h" "Api-Version: 1."
}
t_every_version_in_range_answers() {
	eq "$(status GET /v1.24/_ping)" 200; eq "$(status GET /v1.51/_ping)" 200; eq "$(status GET /v1.47/version)" 200
	has "$(api GET /v1.12/version)" "client version 1.12 is too old. Minimum supported API version is 1.24"
	eq "$(status GET /v1.12/version)" 400
	has "$(api GET /v1.99/version)" "client version 1.99 is too new. Maximum supported API version is"
}
t_cli_version_shows_both_sides() {
	local v; v=$(docker version)
	has "$v" "Server:"; has "$v" "Engine:"; has "$v" "1.24"
	eq "$(docker version -f '{{.Server.Os}}/{{.Server.Arch}}')" "linux/amd64"
	api GET /version | jq -e '.Components | length > 1' >/dev/null
	DOCKER_API_VERSION=1.24 docker ps >/dev/null
}
t_info_is_complete() {
	local i; i=$(docker info)
	has "$i" "Server Version:"; has "$i" "Storage Driver:"; has "$i" "Kernel Version:"; has "$i" "Default Runtime: "
	lacks "$i" "ERROR"
	until_true 30 eval 'has "$(docker info)" tcg || has "$(docker info)" kvm' 
	docker info -f '{{json .}}' | jq -e '.ServerErrors == null and .NCPU > 0 and .MemTotal > 0 and (.ID | length > 0)' >/dev/null
}
t_unknown_pages_and_methods() {
	eq "$(status GET /nosuch)" 404; has "$(api GET /nosuch)" '{"message":"page not found"}'
	eq "$(status POST /v1.51/swarm/init -H 'Content-Type: application/json' -d '{}')" 501
	has "$(api POST /v1.51/swarm/init -H 'Content-Type: application/json' -d '{}')" "not implemented"
}
t_no_such_container_in_dockers_words() {
	eq "$(api GET /containers/nosuch/json)" '{"message":"No such container: nosuch"}'
	eq "$(status GET /containers/nosuch/json)" 404
	has "$(fails docker logs nosuch)" "No such container: nosuch"
	eq "$(status DELETE /containers/nosuch)" 404; eq "$(status POST /containers/nosuch/start)" 404
}
t_inspect_of_nothing_says_so() {
	eq "$(fails docker inspect nosuch)" "$(printf '[]\nError: No such object: nosuch')"
	eq "$(api GET /networks/nosuch)" '{"message":"network nosuch not found"}'; eq "$(status GET /networks/nosuch)" 404
	eq "$(api GET /volumes/nosuch)" '{"message":"get nosuch: no such volume"}'; eq "$(status GET /volumes/nosuch)" 404
	eq "$(api GET /plugins/nosuch/json | jq -r .message)" 'plugin "nosuch" not found'
	has "$(api GET /services/nosuch)" "This node is not a swarm manager."; eq "$(status GET /services/nosuch)" 503
	eq "$(status DELETE /volumes/nosuch)" 501
}
t_unknown_filters_are_refused() {
	eq "$(status GET '/containers/json?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D')" 400
	eq "$(status GET '/images/json?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D')" 400
	eq "$(status GET '/containers/json?filters=%7B')" 400
	eq "$(status GET '/containers/json?filters=%7B%22label%22%3A%5B%22x%22%5D%7D')" 200
	eq "$(status GET '/containers/json?filters=%7B%22label%22%3A%7B%22x%22%3Atrue%7D%7D')" 200
}
t_bad_bodies_get_clear_errors() {
	local c=(-H 'Content-Type: application/json')
	eq "$(status POST /containers/create "${c[@]}" -d '{')" 400
	eq "$(status POST /containers/create "${c[@]}" -d '{"Image":5}')" 400
	eq "$(status POST /containers/create "${c[@]}" -d '{"Image":"x"} {"Image":"y"}')" 400
	eq "$(status POST /containers/create -H 'Content-Type: text/plain' -d '{}')" 400
	head -c 1000000 /dev/zero | tr '\0' '[' >"$ROOT/brackets"
	eq "$(status POST /containers/create "${c[@]}" --data-binary "@$ROOT/brackets")" 400
	has "$(api POST /containers/create "${c[@]}" -d '{"Image":"nosuch:latest"}')" "No such image: nosuch:latest"
	eq "$(status POST /containers/create "${c[@]}" -d '{"Image":"nosuch:latest"}')" 404
	eq "$(api GET /_ping)" OK
}
t_endless_headers_and_half_bodies_cost_nothing() {
	(printf 'GET /_ping HTTP/1.1\r\nHost: x\r\n'; for _ in $(seq 20000); do printf 'X-Fill: %080d\r\n' 1; done) |
		timeout 20 socat - "UNIX-CONNECT:$SOCK" >"$ROOT/answer" 2>/dev/null || true
	lacks "$(head -1 "$ROOT/answer")" "200 OK"
	printf 'POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"Image":' |
		timeout 10 socat -t 1 - "UNIX-CONNECT:$SOCK" >/dev/null 2>&1 || true
	eq "$(api GET /_ping)" OK
}
t_a_second_arcad_is_refused() {
	local out
	out=$(fails timeout 20 "$BUILD/arcad" -H "unix://$ROOT/other.sock" --data-root "$ROOT/data" --exec-root "$ROOT/other" \
		--pidfile "$ROOT/arcad.pid" --config-file "$ROOT/daemon.json")
	has "$out" "in use by another arcad"; [ -s "$ROOT/arcad.pid" ]
	out=$(fails timeout 20 "$BUILD/arcad" -H "unix://$ROOT/other.sock" --data-root "$ROOT/other" --exec-root "$ROOT/exec" --pidfile "$ROOT/arcad.pid" --config-file "$ROOT/daemon.json")
	has "$out" "in use by another arcad" # it would sweep our VMs away
	[ -s "$ROOT/arcad.pid" ]
	eq "$(api GET /_ping)" OK
}
t_start_refuses_without_qemu_or_kernel() {
	local args=(-H "unix://$ROOT/other.sock" --data-root "$ROOT/data2" --exec-root "$ROOT/exec2" --config-file "$ROOT/daemon.json")
	has "$(fails timeout 20 "$BUILD/arcad" "${args[@]}" --kernel "$ROOT/nosuch")" "there is no file $ROOT/nosuch"
	has "$(fails timeout 20 "$BUILD/arcad" "${args[@]}" --qemu "$ROOT/nosuch")" "$ROOT/nosuch"
}
t_options_are_checked() {
	has "$("$BUILD/arcad" --version)" "arcad version"
	has "$("$BUILD/arcad" --validate --config-file "$ROOT/daemon.json")" "configuration OK"
	has "$(fails "$BUILD/arcad" --nosuch)" "unknown flag: --nosuch"
	has "$(fails "$BUILD/arcad" -H tcp://0.0.0.0:23750 --data-root "$ROOT/data2" --exec-root "$ROOT/exec2")" "TLS"
}

echo '{}' >"$ROOT/daemon.json"
run_tests
