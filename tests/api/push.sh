#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# push: what it says, what it sends and what it spares, and that what comes back is what went out
. "$(dirname "$0")/../registry/rig.sh"
send() { api POST "/images/$1" -H 'X-Registry-Auth: e30='; } # NAME/push?tag=T: the progress as it is on the wire
uploads() { requests "$1" "$2" "(PATCH|PUT) /v2/$3/blobs/uploads/"; } # NAME MARK REPO
diff_ids() { docker image inspect "$1" | jq -r '.[0].RootFS.Layers[]' | cut -c8-19 | sort; }

registry PLAIN; registry BASIC basic; registry GUARDED token; registry OTHER "store=$RIG/other"
liar LIAR
BUSYBOX=$(archive busybox)
push image "$PLAIN/rig/base:1" "$BUSYBOX" --add "$(tar_of extra 3000000)" >"$RIG/base"

t_first_an_image_to_push() { # the others use it, so it runs whatever ONLY says
	wipe_images; docker pull -q "$PLAIN/rig/base:1" >/dev/null
}
t_a_push_says_what_it_does() {
	docker tag "$PLAIN/rig/base:1" "$OTHER/rig/said:1"; local out d id; out=$(docker push "$OTHER/rig/said:1"); d=$(digest_of "$OTHER/rig/said" 1)
	eq "$(head -1 <<<"$out")" "The push refers to repository [$OTHER/rig/said]"
	for id in $(diff_ids "$OTHER/rig/said:1"); do has "$out" "$id: Preparing"; has "$out" "$id: Pushed"; done
	eq "$(tail -1 <<<"$out")" "1: digest: $d size: $(manifest "$OTHER/rig/said" 1 | wc -c)"
	has "$(docker image inspect -f '{{.RepoDigests}}' "$OTHER/rig/said:1")" "$OTHER/rig/said@$d"
}
t_progress_is_in_dockers_words_and_order() {
	docker tag "$PLAIN/rig/base:1" "$OTHER/rig/wire:1"
	send "$OTHER/rig/wire/push?tag=1" >"$RIG/p"; diff_ids "$OTHER/rig/wire:1" >"$RIG/ids"
	jq -es --rawfile ids "$RIG/ids" '
		["Preparing", "Waiting", "Pushing"] as $order
		| .[0].status == "The push refers to repository ['"$OTHER/rig/wire"']"
		and ([.[] | select(.id)] | group_by(.id) | (map(.[0].id) == ($ids | rtrimstr("\n") | split("\n")))
			and all(.[]; .[0].status == "Preparing" and (.[-1].status as $s | ["Pushed", "Layer already exists"] | any(. == $s) or ($s | startswith("Mounted from ")))
				and (map(select(.status as $s | $order | index($s)) | .status as $s | $order | index($s)) | . == sort)
				and ([.[] | select(.status == "Pushing" and .progressDetail.current)] | all(.[]; .progressDetail.total > 0) and (map(.progressDetail.current) | . == sort))))
		and (.[-1].aux.Digest | startswith("sha256:")) and .[-1].aux.Tag == "1" and .[-1].aux.Size > 100
		and .[-2].status == "1: digest: \(.[-1].aux.Digest) size: \(.[-1].aux.Size)"' "$RIG/p"
	eq "$(jq -rs '.[-1].aux.Digest' "$RIG/p")" "$(digest_of "$OTHER/rig/wire" 1)"
}
t_what_is_there_is_not_sent_again() {
	docker tag "$PLAIN/rig/base:1" "$OTHER/rig/twice:1"; docker push -q "$OTHER/rig/twice:1" >/dev/null
	local m out d; m=$(mark OTHER); d=$(digest_of "$OTHER/rig/twice" 1); out=$(docker push "$OTHER/rig/twice:1")
	eq "$(grep -c ': Layer already exists' <<<"$out")" 2; has "$out" "1: digest: $d"; eq "$(uploads OTHER "$m" rig/twice)" 0
}
t_layers_are_mounted_from_a_repository_that_has_them() {
	docker tag "$PLAIN/rig/base:1" "$PLAIN/rig/mounted:1"; local m out; m=$(mark PLAIN); out=$(docker push "$PLAIN/rig/mounted:1")
	eq "$(grep -c ': Mounted from rig/base' <<<"$out")" 2; has "$out" "1: digest: $(digest_of "$PLAIN/rig/mounted" 1)"
	[ "$(requests PLAIN "$m" 'POST /v2/rig/mounted/blobs/uploads/\?.*mount=sha256')" -ge 2 ]
	# the config at most
	[ "$(requests PLAIN "$m" 'PUT /v2/rig/mounted/blobs/uploads/')" -le 1 ]
}
t_what_was_pulled_keeps_its_manifest() {
	ours # with overlay2 Docker's own daemon writes a new manifest and compresses anew
	local f i=0 d; for f in "" --docker "--compress zstd" "--compress none --docker" "--compress gzip,zstd"; do
		i=$((i + 1)); d=$(push image $f --note "kept $i" --add "$RIG/extra.tar" "$PLAIN/rig/kept:$i" "$BUSYBOX")
		docker pull -q "$PLAIN/rig/kept:$i" >/dev/null; docker tag "$PLAIN/rig/kept:$i" "$OTHER/rig/kept:$i"
		has "$(docker push "$OTHER/rig/kept:$i")" "$i: digest: $d"; eq "$(digest_of "$OTHER/rig/kept" "$i")" "$d"
	done
}
t_what_was_loaded_comes_back_the_same() {
	docker load -q -i "$BUSYBOX" >/dev/null; local id; id=$(docker image inspect -f '{{.Id}}' busybox)
	docker tag busybox "$OTHER/rig/loaded:1"; docker push -q "$OTHER/rig/loaded:1" >/dev/null
	skopeo copy -q --src-tls-verify=false "docker://$OTHER/rig/loaded:1" "oci:$RIG/skopeo:1"
	wipe_images; has "$(docker pull "$OTHER/rig/loaded:1")" "Digest: $(digest_of "$OTHER/rig/loaded" 1)"
	eq "$(docker image inspect -f '{{.Id}}' "$OTHER/rig/loaded:1")" "$id"; eq "$(docker run --rm --network none "$OTHER/rig/loaded:1" echo hi)" hi
	docker pull -q "$PLAIN/rig/base:1" >/dev/null
}
t_a_foreign_platform_is_pushed() {
	push image --platform linux/arm64/v8 "$PLAIN/rig/arm:1" "$BUSYBOX" >/dev/null; docker pull -q --platform linux/arm64 "$PLAIN/rig/arm:1" >/dev/null
	docker tag "$PLAIN/rig/arm:1" "$OTHER/rig/arm:1"; docker push -q "$OTHER/rig/arm:1" >/dev/null
	local c; c=$(manifest "$OTHER/rig/arm" 1 | jq -r .config.digest)
	eq "$(curl -sS "http://$OTHER/v2/rig/arm/blobs/$c" | jq -r '.architecture + .variant')" arm64v8
}
t_all_tags_are_pushed() {
	docker tag "$PLAIN/rig/base:1" "$OTHER/rig/all:a"; docker tag "$PLAIN/rig/base:1" "$OTHER/rig/all:b"
	local out; out=$(docker push -a "$OTHER/rig/all"); has "$out" "a: digest: sha256:"; has "$out" "b: digest: sha256:"
	eq "$(curl -sS "http://$OTHER/v2/rig/all/tags/list" | jq -c '.tags | sort')" '["a","b"]'
}
t_what_is_not_here_cannot_be_pushed() {
	eq "$(fails docker push "$PLAIN/rig/base:nosuch" | tail -1)" "tag does not exist: $PLAIN/rig/base:nosuch"
	eq "$(fails docker push "$PLAIN/rig/nosuch" | tail -1)" "An image does not exist locally with the tag: $PLAIN/rig/nosuch"
	eq "$(fails docker push -a "$PLAIN/rig/nosuch" | tail -1)" "An image does not exist locally with the tag: $PLAIN/rig/nosuch"
	eq "$(fails docker push "$PLAIN/rig/base@$(cat "$RIG/base")" | tail -1)" "cannot push a digest reference"
	eq "$(send "$PLAIN/rig/nosuch/push?tag=1" | tail -1 | jq -r '.error, .errorDetail.message' | sort -u)" "An image does not exist locally with the tag: $PLAIN/rig/nosuch"
	docker tag "$PLAIN/rig/base:1" 127.0.0.1:1/x:1; has "$(fails docker push 127.0.0.1:1/x:1)" refused
}
t_basic_auth() {
	docker tag "$PLAIN/rig/base:1" "$BASIC/rig/new:1"; has "$(fails docker push "$BASIC/rig/new:1" | tail -1)" "no basic auth credentials"
	docker login -u "$USER_NAME" --password-stdin "$BASIC" <<<"$PASSWORD" >/dev/null 2>&1
	has "$(docker push "$BASIC/rig/new:1")" "1: digest: sha256:"; docker logout "$BASIC" >/dev/null
}
t_token_auth() {
	docker tag "$PLAIN/rig/base:1" "$GUARDED/rig/new2:1"; docker tag "$PLAIN/rig/base:1" "$GUARDED/locked/new:1"
	has "$(fails docker push "$GUARDED/rig/new2:1" | tail -1)" "denied: requested access to the resource is denied"
	docker login -u "$USER_NAME" --password-stdin "$GUARDED" <<<"$PASSWORD" >/dev/null 2>&1
	has "$(docker push "$GUARDED/rig/new2:1")" "1: digest: sha256:"
	has "$(fails docker push "$GUARDED/locked/new:1" | tail -1)" "denied: requested access to the resource is denied"
	grep -qE "POST refresh_token $USER_NAME .*repository:rig/new2:(push,pull|pull,push)" "$RIG/token.log"; docker logout "$GUARDED" >/dev/null
}
t_a_broken_upload_is_taken_up_again() {
	docker tag "$PLAIN/rig/base:1" "$LIAR/pushbreak/x:1"; has "$(docker push "$LIAR/pushbreak/x:1")" "1: digest: sha256:"
	eq "$(jq -r 'select(.repo == "pushbreak/x" and .what == "manifests" and .method == "PUT").status' "$RIG/LIAR.log")" 201
}
t_a_registry_that_refuses_is_quoted() {
	docker tag "$PLAIN/rig/base:1" "$LIAR/denied/x:1"; has "$(fails docker push "$LIAR/denied/x:1" | tail -1)" denied
	docker tag "$PLAIN/rig/base:1" "$LIAR/e500/x:1"; has "$(DOCKER_TIMEOUT=150 fails docker push "$LIAR/e500/x:1" | tail -1)" "received unexpected HTTP status: 500 Internal Server Error"
	docker tag "$PLAIN/rig/base:1" "$LIAR/pushcut/x:1"; DOCKER_TIMEOUT=150 fails docker push "$LIAR/pushcut/x:1" >/dev/null
	eq "$(api GET /_ping)" OK
}
t_a_client_that_leaves_ends_its_push() {
	ours; docker tag "$PLAIN/rig/base:1" "$LIAR/pushhold/x:1"; local p
	curl -sSN --max-time 60 --unix-socket "$SOCK" -X POST -H 'X-Registry-Auth: e30=' "http://localhost/images/$LIAR/pushhold/x/push?tag=1" >/dev/null 2>&1 & p=$!
	until_true 10 grep -q '"repo": "pushhold/x".*holding' "$RIG/LIAR.log"; kill "$p"; wait "$p" || true
	until_true 10 grep -q '"repo": "pushhold/x".*"cut": true' "$RIG/LIAR.log"
}
t_credentials_are_nowhere() {
	ours; local s found; for s in "$PASSWORD" "$(printf '%s:%s' "$USER_NAME" "$PASSWORD" | base64 -w0)"; do
		found=$(grep -rlF -- "$s" "$ROOT/data" "$ROOT/exec" "$ROOT/arcad.log" || true); eq "$found" ""
	done
	found=$(grep -rlE 'eyJ0eXAiOiAi|Bearer [A-Za-z0-9_-]{20}' "$ROOT/data" "$ROOT/exec" "$ROOT/arcad.log" || true); eq "$found" ""
}

echo '{}' >"$ROOT/daemon.json"
run_tests
