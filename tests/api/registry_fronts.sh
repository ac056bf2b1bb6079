#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# what stands before registries: HTTP/2 by nginx, and an HTTP proxy that https goes through by CONNECT
RIG_NGINX=1
. "$(dirname "$0")/../registry/rig.sh"
[ -z "${TEST_HOST:-}" ] || { echo "1..0 # SKIP about arcad alone: it is told of the proxy when it starts"; exit 0; }
PROXY_USER=mole PROXY_PASSWORD='tr0ub4dor@3' PROXY_ESCAPED=tr0ub4dor%403 # looked for in logs and data roots, where they must not be

registry PLAIN; registry OTHER "store=$RIG/other"
front FRONT "$PLAIN" 5443; front SINK "$OTHER" 5444; front BEHIND "$PLAIN" 5445
registry SECURE tls "addr=$FAR"; registry SECURE_TOO tls "addr=$FAR_TOO"
connect_proxy PROXY --user "$PROXY_USER:$PROXY_PASSWORD"; connect_proxy REFUSING --refuse 403
ARCAD_ARGS+=(--https-proxy "http://$PROXY_USER:$PROXY_ESCAPED@$PROXY" --no-proxy "$FAR_TOO,$FRONT,$SINK")
OWN_ARGS=("${ARCAD_ARGS[@]}")
for at in "$FRONT" "$SINK" "$BEHIND" "$SECURE" "$SECURE_TOO"; do trust "$at"; done
BUSYBOX=$(archive busybox)
ONE=$(push image "$PLAIN/rig/one:1" "$BUSYBOX" --add "$(tar_of a 300000 1)" --add "$(tar_of b 300000 2)" --add "$(tar_of c 3000000 3)")

since() { tail -n +$(($2 + 1)) "$RIG/$1.log" | grep -E " $3 " || true; } # NAME MARK REGEX: a front's lines with that METHOD PATH
protocols() { since "$@" | cut -d' ' -f1 | sort -u; }
tunnels() { tail -n +$(($2 + 1)) "$RIG/$1.log" | jq -r --arg t "$3" 'select(.target == $t and .from_server == null) | "\(.method) \(.status) \(.auth)"' | sort -u; } # NAME MARK ADDR:PORT
proxied() { has "$(docker pull "$1/rig/one:1")" "Digest: $ONE"; intact "$1/rig/one:1"; } # ADDR:PORT
arcad_with() { arcad_stop; ARCAD_ARGS=(--certs-dir "$CERTS_DIR" "$@"); arcad_start; }
arcad_again() { arcad_stop 2>/dev/null; ARCAD_ARGS=("${OWN_ARGS[@]}"); arcad_start; }
nowhere() { # TEXT: not in what the daemon wrote, says of itself, or shows to others
	eq "$(grep -rlF -- "$1" "$ROOT/data" "$ROOT/exec" "$ROOT/arcad.log" || true)" ""; lacks "$(api GET /info)" "$1"; lacks "$(docker info 2>&1)" "$1"
}

t_first_the_fronts_speak_http_1_as_well() { # so that HTTP/2.0 in their logs says something
	local m; m=$(mark FRONT); curl -sS --http1.1 --cacert "$RIG/ca.pem" "https://$FRONT/v2/" >/dev/null
	eq "$(protocols FRONT "$m" 'GET /v2/')" HTTP/1.1
}
t_a_pull_speaks_http_2_where_it_is_offered() {
	wipe_images; local m; m=$(mark FRONT)
	has "$(docker pull "$FRONT/rig/one:1")" "Digest: $ONE"; intact "$FRONT/rig/one:1"
	eq "$(protocols FRONT "$m" '[A-Z]+ /v2/[^ ]*')" HTTP/2.0
	eq "$(since FRONT "$m" 'GET /v2/rig/one/blobs/sha256:[0-9a-f]{64} 200' | wc -l)" 5 # four layers and the config
	eq "$(since FRONT "$m" 'GET /v2/rig/one/[^ ]*' | cut -d' ' -f2 | sort -u | wc -l)" 1 # all on one connection
}
t_a_push_speaks_http_2_where_it_is_offered() {
	docker pull -q "$FRONT/rig/one:1" >/dev/null; docker tag "$FRONT/rig/one:1" "$SINK/rig/pushed:1"; local m; m=$(mark SINK)
	has "$(docker push "$SINK/rig/pushed:1")" "1: digest: $ONE"; eq "$(digest_of "$OTHER/rig/pushed" 1)" "$ONE"
	eq "$(protocols SINK "$m" '[A-Z]+ /v2/[^ ]*')" HTTP/2.0
	eq "$(since SINK "$m" 'PUT /v2/rig/pushed/blobs/uploads/[^ ]* 201' | wc -l)" 5; eq "$(since SINK "$m" 'PUT /v2/rig/pushed/manifests/1 201' | wc -l)" 1
	wipe_images; has "$(docker pull "$SINK/rig/pushed:1")" "Digest: $ONE"; intact "$SINK/rig/pushed:1"
}
t_https_goes_through_the_proxy_by_connect() {
	wipe_images; local m; m=$(mark PROXY); proxied "$SECURE"
	eq "$(tunnels PROXY "$m" "$SECURE")" "CONNECT 200 true"
	# the layers came that way, encrypted
	[ "$(tail -n +$((m + 1)) "$RIG/PROXY.log" | jq -s --arg t "$SECURE" '[.[] | select(.target == $t).from_server // 0] | add')" -gt 3600000 ]
	docker tag "$SECURE/rig/one:1" "$SECURE/rig/through:1"; m=$(mark PROXY); has "$(docker push "$SECURE/rig/through:1")" "1: digest: $ONE"
	eq "$(tunnels PROXY "$m" "$SECURE")" "CONNECT 200 true"
}
t_http_2_goes_through_the_proxy() {
	wipe_images; local m p; m=$(mark BEHIND) p=$(mark PROXY); proxied "$BEHIND"
	eq "$(tunnels PROXY "$p" "$BEHIND")" "CONNECT 200 true"; eq "$(protocols BEHIND "$m" '[A-Z]+ /v2/[^ ]*')" HTTP/2.0
}
t_hosts_without_proxy_are_reached_directly() {
	local m; m=$(mark PROXY)
	wipe_images; proxied "$SECURE_TOO" # by its address
	wipe_images; proxied "$FRONT"	   # by its address and port; other ports of that address are not
	wipe_images; docker pull -q "$PLAIN/rig/one:1" >/dev/null # loopback, always
	eq "$(tail -n +$((m + 1)) "$RIG/PROXY.log")" ""
}
t_a_private_ca_is_still_asked_for_behind_the_proxy() {
	wipe_images; mv "$CERTS_DIR/$SECURE" "$CERTS_DIR/away"; trap 'mv "$CERTS_DIR/away" "$CERTS_DIR/$SECURE"' EXIT
	has "$(fails docker pull "$SECURE/rig/one:1")" "x509: certificate signed by unknown authority"
}
t_the_proxys_password_is_nowhere() {
	eq "$(docker info -f '{{.HTTPSProxy}}')" "http://xxxxx:xxxxx@$PROXY"; eq "$(docker info -f '{{.NoProxy}}')" "$FAR_TOO,$FRONT,$SINK"
	nowhere "$PROXY_PASSWORD"; nowhere "$PROXY_ESCAPED"; nowhere "$PROXY_USER:"; nowhere "$(printf '%s:%s' "$PROXY_USER" "$PROXY_PASSWORD" | base64 -w0)"
}
t_a_proxy_that_refuses_is_quoted() {
	wipe_images; trap arcad_again EXIT
	local at="http://$PROXY_USER:wr0ng@$PROXY" m out; arcad_with --https-proxy "$at"; m=$(mark PROXY); out=$(fails docker pull "$SECURE/rig/one:1")
	eq "$out" "Error response from daemon: Get \"https://$SECURE/v2/\": Proxy Authentication Required"; eq "$(tail -n +$((m + 1)) "$RIG/PROXY.log" | wc -l)" 1 # asked once
	nowhere wr0ng
	arcad_with --https-proxy "http://$PROXY_USER:wr0ng@$REFUSING"; has "$(fails docker pull "$SECURE/rig/one:1")" "Get \"https://$SECURE/v2/\": Forbidden"
	arcad_with --https-proxy "http://$PROXY_USER:wr0ng@127.0.0.1:1"; has "$(fails docker pull "$SECURE/rig/one:1")" refused
	arcad_with --https-proxy "http://$PROXY_USER:wr0ng@nosuch.invalid:1"; has "$(fails docker pull "$SECURE/rig/one:1")" "proxyconnect tcp"
	arcad_with --https-proxy "nonsense://$PROXY_USER:wr0ng@$PROXY"; out=$(fails docker pull "$SECURE/rig/one:1"); lacks "$out" wr0ng
	nowhere wr0ng
}
t_a_proxy_out_of_the_environment_is_used_and_masked_as_well() {
	wipe_images; trap arcad_again EXIT; local m
	HTTPS_PROXY=http://$PROXY_USER:$PROXY_ESCAPED@$PROXY NO_PROXY=$FAR_TOO arcad_with; m=$(mark PROXY)
	docker pull -q "$SECURE/rig/one:1" >/dev/null; eq "$(tunnels PROXY "$m" "$SECURE")" "CONNECT 200 true"
	eq "$(docker info -f '{{.HTTPSProxy}} {{.NoProxy}}')" "http://xxxxx:xxxxx@$PROXY $FAR_TOO"; nowhere "$PROXY_ESCAPED"
}

echo '{}' >"$ROOT/daemon.json"
run_tests
