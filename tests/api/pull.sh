#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pull: what it says, what it fetches, from whom it takes it, and what is left when it is broken off
. "$(dirname "$0")/../registry/rig.sh"
drun() { docker run --rm --network none "$@"; }
watch() { curl -sSN --max-time 60 --unix-socket "$SOCK" -X POST "http://localhost/images/create?fromImage=$1&tag=latest" >"$2" 2>&1 & } # IMAGE FILE: $! is curl
create() { api POST "/images/create?fromImage=$1" "${@:2}"; } # QUERY: the progress as it is on the wire
holding() { grep -q "\"repo\": \"$1\".*holding" "$RIG/LIAR.log"; }
release() { curl -sS --max-time 5 "http://$LIAR/_release/$1"; }
blobs() { jq -r --arg r "$1" --argjson k "$2" 'select(.repo == $r and .what == "blobs" and .kind == $k and .event == null) | .status' "$RIG/LIAR.log" | wc -l; }
repo_digests() { docker image inspect -f '{{join .RepoDigests " "}}' "$1"; }
platform() { docker image inspect -f '{{.Os}}/{{.Architecture}}{{with .Variant}}/{{.}}{{end}}' "$1"; }

registry PLAIN; registry BASIC basic; registry GUARDED token; registry SECURE tls "addr=$FAR"; registry STRICT clientcert "addr=$FAR"
registry HTTP "addr=$FAR"; registry INSECURE "addr=$FAR" port=5057; registry MIRROR port=5055 "store=$RIG/mirror"
liar LIAR; liar PROXY --port 5056
ARCAD_ARGS+=(--registry-mirror "http://$MIRROR" --insecure-registry registry.test --insecure-registry "$INSECURE")
export HTTP_PROXY=http://$PROXY NO_PROXY=$FAR # curl heeds the lower case alone
BUSYBOX=$(archive busybox)
ONE=$(push image "$PLAIN/rig/one:1" "$BUSYBOX"); push image "$PLAIN/rig/one:latest" "$BUSYBOX" --note latest >"$RIG/latest"
EXTRA=$(tar_of extra 3000000)

t_a_tag_is_pulled_and_runs() {
	wipe_images; local out; out=$(docker pull "$PLAIN/rig/one:1")
	has "$out" "1: Pulling from rig/one"; has "$out" ": Pulling fs layer"; has "$out" ": Pull complete"
	eq "$(tail -3 <<<"$out")" "$(printf 'Digest: %s\nStatus: Downloaded newer image for %s\n%s' "$ONE" "$PLAIN/rig/one:1" "$PLAIN/rig/one:1")"
	eq "$(drun "$PLAIN/rig/one:1" echo hi)" hi
	eq "$(docker image inspect -f '{{.RepoTags}}' "$PLAIN/rig/one:1")" "[$PLAIN/rig/one:1]"; eq "$(repo_digests "$PLAIN/rig/one:1")" "$PLAIN/rig/one@$ONE"
	has "$(docker images --digests)" "$ONE"
	eq "$(docker image inspect -f '{{.Id}}' "$PLAIN/rig/one:1")" "$(manifest "$PLAIN/rig/one" 1 | jq -r .config.digest)"
}
t_a_second_pull_is_up_to_date_and_fetches_no_layer() {
	docker pull -q "$PLAIN/rig/one:1" >/dev/null; local m; m=$(mark PLAIN)
	has "$(docker pull "$PLAIN/rig/one:1")" "Status: Image is up to date for $PLAIN/rig/one:1"
	eq "$(requests PLAIN "$m" 'GET /v2/rig/one/blobs/')" 0
}
t_the_default_tag_is_latest() {
	local out; out=$(docker pull "$PLAIN/rig/one")
	has "$out" "Using default tag: latest"; has "$out" "Digest: $(cat "$RIG/latest")"; has "$out" "Status: Downloaded newer image for $PLAIN/rig/one:latest"
}
t_a_digest_is_pulled_without_a_tag() {
	wipe_images; local out; out=$(docker pull "$PLAIN/rig/one@$ONE")
	has "$out" "$PLAIN/rig/one@$ONE: Pulling from rig/one"; has "$out" "Digest: $ONE"; has "$out" "Status: Downloaded newer image for $PLAIN/rig/one@$ONE"
	eq "$(docker image inspect -f '{{len .RepoTags}} {{join .RepoDigests " "}}' "$PLAIN/rig/one@$ONE")" "0 $PLAIN/rig/one@$ONE"
	eq "$(drun "$PLAIN/rig/one@$ONE" echo hi)" hi
}
t_of_tag_and_digest_the_digest_counts() {
	wipe_images; has "$(docker pull "$PLAIN/rig/one:latest@$ONE")" "Digest: $ONE"
	eq "$(docker image inspect -f '{{len .RepoTags}}' "$PLAIN/rig/one@$ONE")" 0
	has "$(fails docker pull "$PLAIN/rig/one:1@sha256:$(printf %064d 1)")" "not found"
}
t_all_tags_are_pulled() {
	wipe_images; local out; out=$(docker pull -a "$PLAIN/rig/one")
	has "$out" "1: Pulling from rig/one"; has "$out" "latest: Pulling from rig/one"; has "$out" "Status: Downloaded newer image for $PLAIN/rig/one"
	eq "$(docker images --format '{{.Tag}}' "$PLAIN/rig/one" | sort | xargs)" "1 latest"
}
t_a_tag_that_moved_leaves_the_old_image_untagged() {
	wipe_images; push image "$PLAIN/rig/moves:1" "$BUSYBOX" --note a >/dev/null; docker pull -q "$PLAIN/rig/moves:1" >/dev/null
	local id; id=$(docker image inspect -f '{{.Id}}' "$PLAIN/rig/moves:1")
	push image "$PLAIN/rig/moves:1" "$BUSYBOX" --note b >/dev/null
	has "$(docker pull "$PLAIN/rig/moves:1")" "Status: Downloaded newer image for $PLAIN/rig/moves:1"
	lacks "$(docker image inspect -f '{{.Id}}' "$PLAIN/rig/moves:1")" "$id"; eq "$(docker image inspect -f '{{len .RepoTags}}' "$id")" 0
}
t_layers_that_are_here_already_exist() {
	wipe_images; docker pull -q "$PLAIN/rig/one:1" >/dev/null
	push image "$PLAIN/rig/two:1" "$BUSYBOX" --add "$EXTRA" >/dev/null; local m out base; m=$(mark PLAIN); out=$(docker pull "$PLAIN/rig/two:1")
	base=$(manifest "$PLAIN/rig/two" 1 | jq -r '.layers[0].digest'); base=${base#sha256:}
	has "$out" "${base:0:12}: Already exists"
	eq "$(requests PLAIN "$m" "GET /v2/rig/two/blobs/sha256:$base")" 0
	eq "$(drun "$PLAIN/rig/two:1" sha256sum /extra | cut -c1-64)" "$(tar -xOf "$EXTRA" extra | sha256sum | cut -c1-64)"
}
t_gzip_zstd_and_plain_layers_in_both_families_of_media_types() {
	local f; for f in "" --docker; do
		wipe_images; push image $f --compress gzip,zstd,none --add "$(tar_of za 400000 2)" --add "$(tar_of zb 400000 3)" "$PLAIN/rig/mixed:t" "$BUSYBOX" >"$RIG/d"
		has "$(docker pull "$PLAIN/rig/mixed:t")" "Digest: $(cat "$RIG/d")"
		eq "$(drun "$PLAIN/rig/mixed:t" sh -c 'cat /za /zb' | sha256sum)" "$( (tar -xOf "$RIG/za.tar" za; tar -xOf "$RIG/zb.tar" zb) | sha256sum)"
		intact "$PLAIN/rig/mixed:t"
	done
}
t_an_index_gives_the_own_platform() {
	wipe_images; local a r i
	a=$(push image --add "$EXTRA" "$PLAIN/rig/multi" "$BUSYBOX"); r=$(push image --platform linux/arm64/v8 "$PLAIN/rig/multi" "$BUSYBOX")
	i=$(push index "$PLAIN/rig/multi:latest" "$r" "$a")
	has "$(docker pull "$PLAIN/rig/multi")" "Digest: $i"
	eq "$(platform "$PLAIN/rig/multi")" linux/amd64; eq "$(repo_digests "$PLAIN/rig/multi")" "$PLAIN/rig/multi@$i"
	wipe_images; has "$(docker pull "$PLAIN/rig/multi@$i")" "Digest: $i"; eq "$(platform "$PLAIN/rig/multi@$i")" linux/amd64
	wipe_images; has "$(docker pull --platform linux/arm64 "$PLAIN/rig/multi")" "Digest: $i"; eq "$(platform "$PLAIN/rig/multi")" linux/arm64/v8
	has "$(fails docker pull --platform linux/s390x "$PLAIN/rig/multi")" "no matching manifest for linux/s390x in the manifest list entries"
	a=$(push image --docker "$PLAIN/rig/list" "$BUSYBOX"); i=$(push index --docker "$PLAIN/rig/list:1" "$a"); has "$(docker pull "$PLAIN/rig/list:1")" "Digest: $i"
}
t_a_foreign_platform_is_stored_and_running_it_says_what_is_missing() {
	mkdir -p "$RIG/arm/bin" && python3 -c 'import struct, sys; sys.stdout.buffer.write(b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0x400000, 64, 0, 0, 64, 56, 0, 0, 0, 0))' >"$RIG/arm/bin/sh"
	chmod +x "$RIG/arm/bin/sh"; tar -C "$RIG/arm" -cf "$RIG/arm.tar" bin
	push image --platform linux/arm64 --add "$RIG/arm.tar" "$PLAIN/rig/arm:1" - >/dev/null
	docker pull -q --platform linux/arm64 "$PLAIN/rig/arm:1" >/dev/null; eq "$(platform "$PLAIN/rig/arm:1")" linux/arm64; intact "$PLAIN/rig/arm:1"
	has "$(fails drun "$PLAIN/rig/arm:1" /bin/sh)" arm64
}
t_progress_is_in_dockers_words_and_order() {
	wipe_images; push image "$PLAIN/rig/progress:1" "$BUSYBOX" --add "$(tar_of p1 2000000 4)" --add "$(tar_of p2 4000000 5)" >"$RIG/d"
	create "$PLAIN/rig/progress&tag=1" >"$RIG/p"
	eq "$(head -1 "$RIG/p" | tr -d '\r')" '{"status":"Pulling from rig/progress","id":"1"}'
	eq "$(grep -v '^.\?$' "$RIG/p" | tail -2 | jq -r .status)" "$(printf 'Digest: %s\nStatus: Downloaded newer image for %s' "$(cat "$RIG/d")" "$PLAIN/rig/progress:1")"
	manifest "$PLAIN/rig/progress" 1 | jq '[.layers[] | {key: .digest[7:19], value: .size}] | from_entries' >"$RIG/sizes"
	jq -es --slurpfile sizes "$RIG/sizes" '
		["Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"] as $order
		| [.[] | select(.id != null and .id != "1")] | group_by(.id)
		| (map(.[0].id) == ($sizes[0] | keys)) and all(.[];
			(map(.status as $s | $order | index($s)) | . == sort and .[0] == 0 and .[-1] == 6)
			and (map(.status) | contains(["Download complete"]) and contains(["Extracting"]))
			and ([.[] | select(.status == "Downloading" or .status == "Extracting")] | all(.[]; .progressDetail.total == $sizes[0][.id] and .progressDetail.current <= .progressDetail.total and (.progress | length > 0)))
			and ([.[] | select(.status == "Downloading") | .progressDetail.current] | . == sort)
			and ([.[] | select(.status != "Downloading" and .status != "Extracting")] | all(.[]; .progressDetail == {})))' "$RIG/p"
	[ "$(jq -rs '[.[] | select(.status == "Downloading")] | length' "$RIG/p")" -ge 1 ]
	jq -es '[.[] | select(.status == "Pull complete") | .id] | length == 3' "$RIG/p"
	create "$PLAIN/rig/progress&tag=1" | grep -v '^.\?$' | jq -r .status >"$RIG/p"
	eq "$(cat "$RIG/p")" "$(printf 'Pulling from rig/progress\nDigest: %s\nStatus: Image is up to date for %s' "$(cat "$RIG/d")" "$PLAIN/rig/progress:1")"
}
t_what_is_not_there_is_told_in_dockers_words() {
	eq "$(fails docker pull "$PLAIN/rig/one:nosuch")" "Error response from daemon: manifest for $PLAIN/rig/one:nosuch not found: manifest unknown: manifest unknown"
	eq "$(fails docker pull "$PLAIN/rig/nosuch" | tail -1)" "Error response from daemon: manifest for $PLAIN/rig/nosuch:latest not found: manifest unknown: manifest unknown"
	local zero; zero=sha256:$(printf %064d 0)
	eq "$(fails docker pull "$PLAIN/rig/one@$zero")" "Error response from daemon: manifest for $PLAIN/rig/one@$zero not found: manifest unknown: manifest unknown"
	eq "$(status POST "/images/create?fromImage=$PLAIN/rig/one&tag=nosuch")" 404
	eq "$(fails docker pull -a "$PLAIN/rig/nosuch")" "Error response from daemon: repository $PLAIN/rig/nosuch not found: name unknown: repository name not known to registry"
	has "$(fails docker pull 127.0.0.1:1/x:1)" "127.0.0.1:1"; has "$(fails docker pull 127.0.0.1:1/x:1)" refused
	eq "$(status POST "/images/create?fromImage=127.0.0.1:1/x&tag=1")" 500
	fails docker pull nosuch.invalid/x:1 >/dev/null
}
t_references_and_platforms_are_checked_first() {
	eq "$(status POST "/images/create?fromImage=$PLAIN/UPPER&tag=1")" 400; has "$(create "$PLAIN/UPPER&tag=1")" "invalid reference format"
	eq "$(status POST "/images/create?fromImage=$PLAIN/x&tag=a%20b")" 400; has "$(create "$PLAIN/x&tag=a%20b")" "invalid tag format"
	eq "$(status POST "/images/create?fromImage=$PLAIN/rig/one&tag=1&platform=bogus/x/y/z")" 400
	eq "$(status POST "/images/create?fromImage=$PLAIN/rig/one&tag=sha256:12")" 400; eq "$(status POST "/images/create?fromImage=$PLAIN/rig/one@sha256:12")" 400
	has "$(create "$(printf %064d 1)")" "cannot specify 64-byte hexadecimal strings"
}
t_schema_1_is_refused() {
	has "$(fails docker pull "$LIAR/schema1:latest")" "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of $LIAR/schema1:latest to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2."
}
t_two_pulls_of_an_image_fetch_each_blob_once() {
	local r=layers-3/size-200000/hold-1/twice a b
	docker pull "$LIAR/$r:latest" >"$RIG/a" 2>&1 & a=$!
	until_true 10 holding "$r"
	watch "$LIAR/$r" "$RIG/b"; b=$!
	until_true 10 grep -q "Pulling fs layer" "$RIG/b"; release "$r"
	wait "$a"; wait "$b"
	for k in 0 1 2; do eq "$(blobs "$r" $k)" 1; done
	has "$(cat "$RIG/a")" "Status: Downloaded newer image"; has "$(cat "$RIG/b")" "Status: Downloaded newer image"
	intact "$LIAR/$r:latest"
	ours # Docker's own daemon drops progress that a client does not take at once
	eq "$(grep -c "Pull complete" "$RIG/a")" 3; eq "$(jq -rs '[.[] | select(.status == "Pull complete").id] | unique | length' "$RIG/b")" 3
}
t_a_pull_ends_when_its_last_client_leaves() {
	local r=layers-2/size-200000/hold-1/leaves a b
	watch "$LIAR/$r" "$RIG/a"; a=$!
	until_true 10 holding "$r"
	watch "$LIAR/$r" "$RIG/b"; b=$!
	until_true 10 grep -q "Pulling fs layer" "$RIG/b"
	kill "$a"; wait "$a" || true
	api GET /_ping >/dev/null; [ "$(jq -r --arg r "$r" 'select(.repo == $r and .cut)' "$RIG/LIAR.log" | wc -l)" = 0 ]
	release "$r"; wait "$b"; has "$(cat "$RIG/b")" "Status: Downloaded newer image"
	ours # Docker's own daemon keeps waiting on a connection that stands still
	r=layers-2/size-200000/hold-1/alone; watch "$LIAR/$r" "$RIG/a"; a=$!
	until_true 10 holding "$r"; kill "$a"; wait "$a" || true
	until_true 10 grep -q "\"repo\": \"$r\".*\"cut\": true" "$RIG/LIAR.log"
	fails docker image inspect "$LIAR/$r:latest" >/dev/null
	release "$r"; docker pull -q "$LIAR/$r:latest" >/dev/null; intact "$LIAR/$r:latest"
}
t_a_killed_daemon_fetches_only_what_was_not_complete() {
	ours; local r=layers-4/size-300000/hold-3/killed a
	watch "$LIAR/$r" "$RIG/a"; a=$!
	until_true 20 eval '[ "$(grep -c "Pull complete" "$RIG/a")" = 3 ]'; holding "$r"
	arcad_kill9; wait "$a" || true; arcad_start
	fails docker image inspect "$LIAR/$r:latest" >/dev/null
	release "$r"; docker pull "$LIAR/$r:latest" >"$RIG/a"
	eq "$(grep -c "Already exists" "$RIG/a")" 3; for k in 0 1 2; do eq "$(blobs "$r" $k)" 1; done
	intact "$LIAR/$r:latest"
}
t_a_daemon_killed_anywhere_trusts_nothing_half_made() {
	ours; local r a step
	for step in 1 2 3 4 5 6; do
		r=layers-3/size-400000/slow-2000000/anywhere-$step
		watch "$LIAR/$r" "$RIG/a"; a=$!
		until_true 10 eval '[ "$(grep -c . "$RIG/a")" -ge $((step * 4)) ]'
		arcad_kill9; wait "$a" || true; arcad_start
		docker pull -q "$LIAR/$r:latest" >/dev/null; intact "$LIAR/$r:latest"
	done
}
t_a_broken_connection_is_resumed() {
	ours; local r=layers-1/size-1000000/break/resumed s
	docker pull -q "$LIAR/$r:latest" >/dev/null; intact "$LIAR/$r:latest"
	s=$(jq -s --arg r "$r" '[.[] | select(.repo == $r and .kind == 0).sent] | add' "$RIG/LIAR.log")
	[ "$s" -lt 1010000 ] || { echo "$s bytes sent for 1000000"; return 1; }
	r=layers-1/size-1000000/break/norange; docker pull -q "$LIAR/$r:latest" >/dev/null; intact "$LIAR/$r:latest"
}
t_basic_auth() {
	wipe_images; eq "$(fails docker pull "$BASIC/rig/one:1")" "Error response from daemon: Head \"http://$BASIC/v2/rig/one/manifests/1\": no basic auth credentials"
	has "$(fails docker login -u "$USER_NAME" --password-stdin "$BASIC" <<<wrong)" "login attempt to http://$BASIC/v2/ failed with status: 401 Unauthorized"
	has "$(docker login -u "$USER_NAME" --password-stdin "$BASIC" <<<"$PASSWORD" 2>/dev/null)" "Login Succeeded"
	has "$(docker pull "$BASIC/rig/one:1")" "Digest: $ONE"
	docker logout "$BASIC" >/dev/null; fails docker pull "$BASIC/rig/one:latest" >/dev/null
}
t_x_registry_config_serves_where_x_registry_auth_says_nobody() {
	ours # Docker's own daemon reads it for builds alone
	local config nobody=e30= path m; config=$(jq -cn --arg b "http://$BASIC/v2/" --arg u "$USER_NAME" --arg p "$PASSWORD" '{"https://index.docker.io/v1/": {username: "x", password: "y"}, ($b): {username: $u, password: $p, serveraddress: $b}}' | base64 -w0 | tr '+/' '-_')
	for m in "" "$nobody"; do
		wipe_images; has "$(create "$BASIC/rig/one&tag=1" -H "X-Registry-Config: $config" ${m:+-H "X-Registry-Auth: $m"})" "Digest: $ONE"
	done
	eq "$(api GET "/distribution/$BASIC/rig/one:1/json" -H "X-Registry-Config: $config" | jq -r .Descriptor.digest)" "$ONE"
	docker tag "$BASIC/rig/one:1" "$BASIC/rig/config:1"; path="/images/$BASIC/rig/config/push?tag=1"
	has "$(api POST "$path" -H "X-Registry-Auth: $nobody")" "no basic auth credentials"
	has "$(api POST "$path" -H "X-Registry-Auth: $nobody" -H "X-Registry-Config: $config")" "1: digest: $(digest_of "$PLAIN/rig/config" 1)"
	# X-Registry-Auth goes first; what cannot be read, or speaks of other registries alone, is nobody's
	m=$(printf '{"username":"%s","password":"wrong"}' "$USER_NAME" | base64 -w0)
	wipe_images; lacks "$(create "$BASIC/rig/one&tag=1" -H "X-Registry-Config: $config" -H "X-Registry-Auth: $m")" "Digest: "
	for m in '!' e30= W10= "$(jq -cn --arg b "$BASIC" '{($b): 7}' | base64 -w0)" "$(jq -cn --arg b "$BASIC.example" '{($b): {username: "x"}}' | base64 -w0)"; do
		has "$(create "$BASIC/rig/one&tag=1" -H "X-Registry-Config: $m")" "no basic auth credentials"
	done
}
t_token_auth() {
	wipe_images; has "$(fails docker pull "$GUARDED/rig/one:1")" "pull access denied for $GUARDED/rig/one, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
	eq "$(status POST "/images/create?fromImage=$GUARDED/rig/one&tag=1")" 404
	push image "$PLAIN/public/one:1" "$BUSYBOX" >/dev/null; has "$(docker pull "$GUARDED/public/one:1")" "Status: Downloaded newer image"
	has "$(fails docker login -u "$USER_NAME" --password-stdin "$GUARDED" <<<wrong)" "unauthorized: incorrect username or password"
	has "$(docker login -u "$USER_NAME" --password-stdin "$GUARDED" <<<"$PASSWORD" 2>/dev/null)" "Login Succeeded"
	# the service gave an identity token: the CLI keeps that and not the password
	lacks "$(base64 -d <<<"$(jq -r --arg r "$GUARDED" '.auths[$r].auth' "$DOCKER_CONFIG/config.json")")" "$PASSWORD"
	has "$(docker pull "$GUARDED/rig/one:1")" "Digest: $ONE"; has "$(cat "$RIG/token.log")" "POST refresh_token $USER_NAME repository:rig/one:pull 200"
	docker logout "$GUARDED" >/dev/null
	local auth; auth=$(printf '{"username":"%s","password":"%s"}' "$USER_NAME" "$PASSWORD" | base64 -w0 | tr '+/' '-_')
	wipe_images; has "$(create "$GUARDED/rig/one&tag=1" -H "X-Registry-Auth: $auth")" "Digest: $ONE"; has "$(cat "$RIG/token.log")" "GET basic $USER_NAME repository:rig/one:pull 200"
	auth=$(printf '{"registrytoken":"%s"}' "$(curl -sS -u "$USER_NAME:$PASSWORD" "http://$TOKEN/token?service=rig&scope=repository:rig/one:pull" | jq -r .token)" | base64 -w0 | tr '+/' '-_')
	wipe_images; has "$(create "$GUARDED/rig/one&tag=1" -H "X-Registry-Auth: $auth")" "Digest: $ONE"
}
t_auth_endpoint() {
	post() { api POST /auth -H 'Content-Type: application/json' -d "$(jq -cn --arg u "$USER_NAME" --arg p "$1" --arg s "$2" '{username: $u, password: $p, serveraddress: $s}')" "${@:3}"; }
	eq "$(post "$PASSWORD" "$BASIC" | jq -r .Status)" "Login Succeeded"; eq "$(post wrong "$BASIC" | jq -r .message)" "login attempt to http://$BASIC/v2/ failed with status: 401 Unauthorized"
	post "$PASSWORD" "$GUARDED" | jq -e '.Status == "Login Succeeded" and (.IdentityToken | length > 10)'; eq "$(post wrong "$GUARDED" -o /dev/null -w '%{http_code}')" 401
	eq "$(post wrong "$GUARDED" | jq -r .message)" "Get \"http://$GUARDED/v2/\": unauthorized: incorrect username or password"
	eq "$(post x 127.0.0.1:1 -o /dev/null -w '%{http_code}')" 500
}
t_tls_under_a_private_ca() {
	wipe_images; local out; out=$(fails docker pull "$SECURE/rig/one:1")
	has "$out" "Get \"https://$SECURE/v2/\""; has "$out" "x509: certificate signed by unknown authority"
	eq "$(status POST "/images/create?fromImage=$SECURE/rig/one&tag=1")" 500
	trust "$SECURE"; has "$(docker pull "$SECURE/rig/one:1")" "Digest: $ONE"
	trust "$STRICT"; fails docker pull "$STRICT/rig/one:latest" >/dev/null
	trust "$STRICT" client; has "$(docker pull "$STRICT/rig/one:latest")" "Digest: $(cat "$RIG/latest")"
	rm "$CERTS_DIR/$STRICT/client.key"; has "$(fails docker pull "$STRICT/rig/one:1")" "client.key"
}
t_plain_http_only_where_it_is_allowed() {
	wipe_images; has "$(fails docker pull "$HTTP/rig/one:1")" "http: server gave HTTP response to HTTPS client"
	has "$(docker pull "$INSECURE/rig/one:1")" "Digest: $ONE"
}
t_a_mirror_serves_docker_hubs_names() {
	wipe_images; local d m; d=$(push image "$MIRROR/library/mirrored:1" "$BUSYBOX"); m=$(mark MIRROR)
	has "$(docker pull mirrored:1)" "Digest: $d"
	eq "$(docker image inspect -f '{{join .RepoTags ""}} {{join .RepoDigests ""}}' mirrored:1)" "mirrored:1 mirrored@$d"
	[ "$(requests MIRROR "$m" 'GET /v2/library/mirrored/blobs/')" -ge 2 ]
	fails docker pull mirrored:nosuch >/dev/null; [ "$(requests MIRROR "$m" '[A-Z]+ /v2/library/mirrored/manifests/nosuch')" -ge 1 ]
	m=$(mark MIRROR); docker pull -q "$PLAIN/rig/one:1" >/dev/null; eq "$(requests MIRROR "$m" '[A-Z]+ /v2/rig')" 0
}
t_a_proxy_is_used_but_not_for_loopback() {
	wipe_images; docker pull "registry.test/proxied:latest" >/dev/null
	eq "$(jq -r 'select(.repo == "proxied" and .what == "blobs").proxied' "$RIG/PROXY.log" | sort -u)" true
	docker pull -q "$PLAIN/rig/one:1" >/dev/null; lacks "$(cat "$RIG/PROXY.log")" rig/one
}
t_run_pulls_what_is_missing() {
	wipe_images; eq "$(drun "$PLAIN/rig/one:1" echo hi 2>"$RIG/err")" hi
	has "$(cat "$RIG/err")" "Unable to find image '$PLAIN/rig/one:1' locally"; has "$(cat "$RIG/err")" "Status: Downloaded newer image for $PLAIN/rig/one:1"
	local rc=0; drun "$PLAIN/rig/one:nosuch" true >"$RIG/err" 2>&1 || rc=$?
	eq "$rc" 125; has "$(cat "$RIG/err")" "manifest for $PLAIN/rig/one:nosuch not found"
	rc=0; drun --pull never "$PLAIN/rig/two:1" true >"$RIG/err" 2>&1 || rc=$?; eq "$rc" 125; has "$(cat "$RIG/err")" "No such image: $PLAIN/rig/two:1"
}
t_distribution_inspect() {
	local a r i; a=$(push image "$PLAIN/rig/dist" "$BUSYBOX"); r=$(push image --platform linux/arm64/v8 "$PLAIN/rig/dist" "$BUSYBOX"); i=$(push index "$PLAIN/rig/dist:1" "$a" "$r")
	eq "$(api GET "/distribution/$PLAIN/rig/dist:1/json" | jq -cS .)" "$(jq -cnS --arg i "$i" --argjson s "$(manifest "$PLAIN/rig/dist" 1 | wc -c)" '{Descriptor: {mediaType: "application/vnd.oci.image.index.v1+json",
		digest: $i, size: $s}, Platforms: [{architecture: "amd64", os: "linux"}, {architecture: "arm64", os: "linux", variant: "v8"}]}')"
	eq "$(api GET "/distribution/$PLAIN/rig/dist@$a/json" | jq -r '.Descriptor.digest')" "$a"
	eq "$(status GET "/distribution/$PLAIN/rig/nosuch/json")" 404; eq "$(status GET "/distribution/$GUARDED/rig/one:1/json")" 403
	has "$(api GET "/distribution/$BASIC/rig/one:1/json")" "no basic auth credentials"; eq "$(status GET "/distribution/$PLAIN/UPPER/json")" 400
	eq "$(docker manifest inspect --insecure "$PLAIN/rig/dist:1" | jq -r '.manifests[1].platform.architecture')" arm64
}
t_search() {
	eq "$(docker search --format '{{.Name}} {{.StarCount}} {{.Description}}' "$LIAR/x")" "rig/found 3 what was looked for"
	has "$(fails docker search "$PLAIN/x")" "Unexpected status code 404"
	fails docker search nothing >/dev/null
	eq "$(api GET "/images/search?term=$LIAR/x&limit=1000" | jq -r .message)" "limit 1000 is outside the range of [1, 100]"
}
t_credentials_are_nowhere() {
	ours; local s jwt found
	s=$(jq -r '.. | .identitytoken? // empty' "$DOCKER_CONFIG/config.json")
	for s in "$PASSWORD" "$(printf '%s:%s' "$USER_NAME" "$PASSWORD" | base64 -w0)" "$(printf '{"username":"%s","password":"%s"}' "$USER_NAME" "$PASSWORD" | base64 -w0 | cut -c1-56)" $s; do
		found=$(grep -rlF -- "$s" "$ROOT/data" "$ROOT/exec" "$ROOT/arcad.log" || true); eq "$found" ""
	done
	jwt=$(grep -rlE 'eyJ0eXAiOiAi|eyJhbGciOi|Bearer [A-Za-z0-9_-]{20}' "$ROOT/data" "$ROOT/exec" "$ROOT/arcad.log" || true); eq "$jwt" ""
}

echo '{}' >"$ROOT/daemon.json"
run_tests
