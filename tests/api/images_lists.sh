#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# manifest lists: a name of several platforms keeps its list through pull, tag, push, save, load, rmi and prune
. "$(dirname "$0")/../registry/rig.sh"
registry PLAIN; registry OTHER "store=$RIG/other"
BUSYBOX=$(archive busybox)
echo "{}" >"$ROOT/daemon.json"
ARM='{"os":"linux","architecture":"arm64"}' AMD='{"os":"linux","architecture":"amd64"}'
MULTI=$PLAIN/rig/multi:1
id_of() { docker image inspect -f '{{.Id}}' "$1"; }
id_for() { api GET "/v1.51/images/$1/json?platform=$(urlencode "$2")" | jq -r '.Id // .message'; } # NAME PLATFORM
came_as() { api GET "/v1.51/images/$1/json?manifests=1" | jq -c '.Manifests | map([.ImageData.Platform.architecture, .Available])'; }
both() { docker pull -q --platform linux/arm64 "$MULTI" >/dev/null && docker pull -q --platform linux/amd64 "$MULTI" >/dev/null; }
consistent() { arcad_stop; "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" --gc-check=full; local r=$?; arcad_start; return $r; }

a=$(push image --add "$(tar_of here 100000)" "$PLAIN/rig/multi" "$BUSYBOX"); r=$(push image --platform linux/arm64/v8 "$PLAIN/rig/multi" "$BUSYBOX")
LIST=$(push index "$MULTI" "$r" "$a"); manifest "$PLAIN/rig/multi" 1 >"$RIG/list"

t_each_platform_of_a_name_is_found() {
	wipe_images; both; local amd arm
	amd=$(id_of "$MULTI"); arm=$(id_for "$MULTI" "$ARM"); eq "$(id_for "$MULTI" "$AMD")" "$amd"
	has "$arm" sha256:; ! eq "$arm" "$amd" 2>/dev/null; has "$(id_for "$MULTI" '{"os":"linux","architecture":"s390x"}')" "does not match the specified platform"
	eq "$(docker image inspect -f '{{.Architecture}}' "$arm")" arm64; eq "$(docker images -f dangling=true -q | wc -l)" 0
	eq "$(api GET "/v1.51/images/$MULTI/history?platform=$(urlencode "$ARM")" | jq -r '.[0].Id')" "$arm"
	docker create --pull never --platform linux/arm64 --network none --name l1 "$MULTI" >/dev/null; eq "$(docker inspect -f '{{.Image}}' l1)" "$arm"; docker rm l1 >/dev/null
	eq "$(docker run --rm --network none "$MULTI" echo hi)" hi
}
t_manifests_are_listed() {
	api GET "/v1.51/images/json?manifests=1&filters=$(urlencode "{\"reference\":[\"$MULTI\"]}")" >"$RIG/m"
	eq "$(jq -c '.[0].Manifests | map([.Kind, .Available, .ImageData.Platform.architecture])' "$RIG/m")" '[["image",true,"arm64"],["image",true,"amd64"]]'
	eq "$(jq -r '.[0].Manifests | map(.ID) | join(" ")' "$RIG/m")" "$r $a"; eq "$(api GET "/v1.51/images/$MULTI/json?manifests=1" | jq -c '.Manifests')" "$(jq -c '.[0].Manifests' "$RIG/m")"
	eq "$(api GET "/v1.51/images/$MULTI/json" | jq 'has("Manifests")')" false
}
t_prune_spares_what_a_list_has() { local arm; arm=$(id_for "$MULTI" "$ARM"); docker image prune -f >/dev/null; eq "$(id_for "$MULTI" "$ARM")" "$arm"; }
t_a_whole_list_is_pushed_byte_for_byte() {
	docker tag "$MULTI" "$OTHER/rig/whole:2"; local out; out=$(docker push "$OTHER/rig/whole:2")
	has "$out" "2: digest: $LIST size: $(wc -c <"$RIG/list")"; manifest "$OTHER/rig/whole" 2 | cmp - "$RIG/list"
	eq "$(digest_of "$OTHER/rig/whole" "$r")" "$r"; eq "$(digest_of "$OTHER/rig/whole" "$a")" "$a"
	eq "$(docker image inspect "$OTHER/rig/whole:2" "$(id_for "$MULTI" "$ARM")" | jq -r '.[].RepoDigests[] | select(contains("whole"))')" "$(printf '%s\n' "$OTHER/rig/whole@$LIST" "$OTHER/rig/whole@$LIST")"
	docker rmi "$OTHER/rig/whole:2" >/dev/null; eq "$(id_for "$MULTI" "$ARM" | cut -c1-7)" sha256:
}
t_one_platform_of_a_list_is_pushed_alone() {
	docker tag "$MULTI" "$OTHER/rig/single:1"; has "$(api POST "/v1.51/images/$OTHER/rig/single/push?tag=1&platform=$(urlencode "$ARM")" -H 'X-Registry-Auth: e30=')" "$r"
	eq "$(digest_of "$OTHER/rig/single" 1)" "$r"; local s390x; s390x=$(urlencode '{"os":"linux","architecture":"s390x"}')
	eq "$(status POST "/v1.51/images/$OTHER/rig/single/push?tag=1&platform=$s390x" -H 'X-Registry-Auth: e30=')" 404
	eq "$(api POST "/v1.51/images/$OTHER/rig/single/push?tag=2&platform=$s390x" -H 'X-Registry-Auth: e30=' | jq -r .message)" "No such image: $OTHER/rig/single:2"; docker rmi "$OTHER/rig/single:1" >/dev/null
}
t_save_and_load_keep_the_list() {
	docker save -o "$RIG/both.tar" "$MULTI"; eq "$(tar -xOf "$RIG/both.tar" index.json | jq -r '.manifests[0].digest')" "$LIST"
	tar -xOf "$RIG/both.tar" "blobs/sha256/${LIST#sha256:}" | cmp - "$RIG/list"
	local amd arm; amd=$(id_of "$MULTI"); arm=$(id_for "$MULTI" "$ARM"); wipe_images
	has "$(docker load -i "$RIG/both.tar")" "Loaded image: $MULTI"; eq "$(id_of "$MULTI")" "$amd"; eq "$(id_for "$MULTI" "$ARM")" "$arm"
	docker tag "$MULTI" "$OTHER/rig/loaded:1"; has "$(docker push "$OTHER/rig/loaded:1")" "digest: $LIST"; docker rmi "$OTHER/rig/loaded:1" >/dev/null
	docker save "$MULTI" | cmp - "$RIG/both.tar"
}
t_save_and_load_take_the_platforms_asked_for() {
	api GET "/v1.51/images/get?names=$MULTI&platform=$(urlencode "$ARM")" >"$RIG/arm.tar"; eq "$(tar -xOf "$RIG/arm.tar" index.json | jq -r '.manifests[0].digest')" "$r"
	api GET "/v1.51/images/get?names=$MULTI&platform=$(urlencode "$ARM")&platform=$(urlencode "$AMD")" >"$RIG/two.tar"; eq "$(tar -xOf "$RIG/two.tar" index.json | jq -r '.manifests[0].digest')" "$LIST"
	has "$(api GET "/v1.51/images/get?names=$MULTI&platform=$(urlencode "$ARM")&platform=$(urlencode '{"os":"linux","architecture":"s390x"}')")" "no suitable export target found for platform linux/s390x"
	wipe_images; api POST "/v1.51/images/load?platform=$(urlencode "$ARM")" -H 'Content-Type: application/x-tar' --data-binary @"$RIG/both.tar" >/dev/null
	eq "$(docker image inspect -f '{{.Architecture}}' "$MULTI")" arm64; eq "$(docker images -q | wc -l)" 1
	api POST "/v1.51/images/load?platform=$(urlencode "$ARM")&platform=$(urlencode "$AMD")" -H 'Content-Type: application/x-tar' --data-binary @"$RIG/both.tar" >/dev/null
	eq "$(docker image inspect -f '{{.Architecture}}' "$MULTI")" amd64; eq "$(docker images -q | wc -l)" 2
}
t_part_of_a_list_is_pushed_as_the_image_it_is() {
	wipe_images; docker pull -q --platform linux/amd64 "$MULTI" >/dev/null; docker tag "$MULTI" "$OTHER/rig/part:1"
	local out; out=$(docker push "$OTHER/rig/part:1" 2>&1); has "$out" "digest: $a"; has "$out" "Not all multiplatform-content is present"
	eq "$(digest_of "$OTHER/rig/part" 1)" "$a"
}
t_what_is_not_here_is_kept_from_repository_to_repository() {
	docker tag "$MULTI" "$PLAIN/rig/moved:1"; local m; m=$(mark PLAIN); has "$(docker push "$PLAIN/rig/moved:1")" "digest: $LIST"
	manifest "$PLAIN/rig/moved" 1 | cmp - "$RIG/list"; eq "$(digest_of "$PLAIN/rig/moved" "$r")" "$r"
	eq "$(requests PLAIN "$m" "PATCH /v2/")" 0; eq "$(docker images -q "$PLAIN/rig/moved" | wc -l)" 1
}
t_the_store_is_whole_and_rmi_takes_all_of_it() {
	wipe_images; both; consistent; eq "$(docker images -q | wc -l)" 2
	docker rmi "$MULTI" >/dev/null; eq "$(docker images -aq | wc -l)" 0; eq "$(find "$ROOT/data/images/blobs" -type f | wc -l)" 0; consistent
}
t_a_damaged_list_is_named_and_forgotten() {
	both; arcad_stop; local out rc=0; echo x >>"$ROOT/data/images/blobs/sha256/${LIST#sha256:}"
	check() { "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" "--gc-check=$1" 2>&1; }
	out=$(check full) || rc=$?; eq "$rc" 1; has "$out" "manifest list: blob $LIST has "; has "$(check repair)" "0 problems"; check full >/dev/null; arcad_start
	eq "$(docker image inspect -f '{{.Architecture}}' "$MULTI")" amd64; has "$(id_for "$MULTI" "$ARM")" "does not match"; wipe_images
	both; arcad_stop; rm "$ROOT/data/images/blobs/sha256/${LIST#sha256:}"; arcad_start; eq "$(docker image inspect -f '{{.Architecture}}' "$MULTI")" amd64; wipe_images
}
t_a_container_keeps_its_platform() {
	both; docker create --pull never --platform linux/arm64 --network none --name keep "$MULTI" >/dev/null; local arm; arm=$(id_for "$MULTI" "$ARM")
	docker rmi -f "$MULTI" >/dev/null; eq "$(docker image inspect -f '{{.Id}}' "$arm")" "$arm"; docker rm keep >/dev/null; docker image prune -f >/dev/null; eq "$(docker images -aq | wc -l)" 0
}
t_rmi_by_id_of_one_platform_leaves_the_others_as_they_are() {
	both; local amd arm names; amd=$(id_of "$MULTI"); arm=$(id_for "$MULTI" "$ARM"); names=$(docker image inspect -f '{{.RepoDigests}}' "$amd"); has "$names" "@$LIST"
	docker rmi "$arm" >/dev/null; eq "$(docker image inspect -f '{{.RepoDigests}}' "$amd")" "$names"; eq "$(id_of "$PLAIN/rig/multi@$LIST")" "$amd"
	both; docker rmi "$amd" >/dev/null; eq "$(docker images -aq | wc -l)" 0
}
t_what_a_list_does_not_have_is_saved_without_it() { # an image that was loaded, so its manifest is ours, and then pulled
	wipe_images; docker load -qi "$BUSYBOX" >/dev/null; docker tag busybox "$PLAIN/rig/lone:x"; docker push -q "$PLAIN/rig/lone:x" >/dev/null
	push index "$PLAIN/rig/lone:1" "$(digest_of "$PLAIN/rig/lone" x)" >/dev/null; docker pull -q "$PLAIN/rig/lone:1" >/dev/null; eq "$(came_as "$PLAIN/rig/lone:1")" '[["amd64",false]]'
	docker save -o "$RIG/lone.tar" "$PLAIN/rig/lone:1"; wipe_images; has "$(docker load -i "$RIG/lone.tar")" "Loaded image: $PLAIN/rig/lone:1"; wipe_images
}
t_the_digest_of_a_list_means_the_platform_that_came_last() {
	local p; for p in amd64 arm64 amd64 arm64; do docker pull -q --platform linux/$p "$PLAIN/rig/multi@$LIST" >/dev/null; eq "$(docker image inspect -f '{{.Architecture}}' "$PLAIN/rig/multi@$LIST")" $p; done
	docker rmi "$PLAIN/rig/multi@$LIST" >/dev/null; eq "$(docker images -aq | wc -l)" 0
}
t_rmi_of_a_name_takes_what_its_push_left() {
	both; docker tag "$MULTI" "$OTHER/rig/gone:1"; docker tag "$MULTI" "$OTHER/rig/gone:2"; docker push -q -a "$OTHER/rig/gone" >/dev/null; local arm; arm=$(id_for "$MULTI" "$ARM")
	docker rmi "$OTHER/rig/gone:1" >/dev/null; has "$(docker image inspect -f '{{.RepoDigests}}' "$arm")" rig/gone; docker rmi "$MULTI" >/dev/null; eq "$(id_for "$OTHER/rig/gone:2" "$ARM")" "$arm"
	docker rmi "$OTHER/rig/gone:2" >"$RIG/out"; eq "$(docker images -aq | wc -l)" 0; eq "$(grep -c "Untagged: $OTHER/rig/gone@$LIST" "$RIG/out")" 1; consistent
}
t_a_list_goes_with_its_last_name() {
	both; local l=$ROOT/data/images/blobs/sha256/${LIST#sha256:}; docker tag "$(id_of "$MULTI")" plain:1; docker tag "$MULTI" list:1; test -e "$l"
	docker rmi "$MULTI" >/dev/null; test -e "$l"; docker tag plain:1 list:1; test ! -e "$l"; eq "$(docker images -f dangling=true -q | wc -l)" 1
	docker image prune -f >/dev/null; docker rmi plain:1 list:1 >/dev/null; eq "$(docker images -aq | wc -l)" 0; consistent
}
t_a_list_that_is_removed_while_it_is_pushed_goes_all_the_same() {
	both; docker tag "$MULTI" "$OTHER/rig/held:1"; local p; kill -STOP "$(cat "$RIG/OTHER.pid")"; docker push "$OTHER/rig/held:1" >"$RIG/out" 2>&1 & p=$!
	until_true 10 grep -q Preparing "$RIG/out"; docker rmi "$MULTI" "$OTHER/rig/held:1" >/dev/null; eq "$(docker images -aq | wc -l)" 0; kill -CONT "$(cat "$RIG/OTHER.pid")"
	wait "$p"; has "$(cat "$RIG/out")" "digest: $LIST"; manifest "$OTHER/rig/held" 1 | cmp - "$RIG/list"; eq "$(find "$ROOT/data/images/blobs" -type f | wc -l)" 0
	consistent
}
t_a_damaged_list_lets_its_name_go() {
	both; echo x >"$ROOT/data/images/blobs/sha256/${LIST#sha256:}"; eq "$(api GET "/v1.51/images/json?manifests=1" | jq -c 'map(.Manifests | length)')" '[1,1]'
	docker rmi "$MULTI" >/dev/null; docker image prune -f >/dev/null; eq "$(docker images -aq | wc -l)" 0
}
t_each_name_of_an_archive_keeps_the_list_it_came_as() {
	local l out i; wipe_images; read -r -a l <<<"$(python3 "$TESTS/images/lists.py" "$RIG")"; out=$(docker load -i "$RIG/two.tar")
	eq "$out" "$(printf 'Loaded image: two:%d\n' 1 2 3)"; eq "$(docker images -q --no-trunc two | sort -u | wc -l)" 1
	eq "$(came_as two:1)" '[["amd64",true],["arm64",true]]'; eq "$(came_as two:2)" '[["amd64",true],["s390x",true]]'; eq "$(came_as two:3)" '[["amd64",true]]'
	for i in 1 2; do docker tag "two:$i" "$OTHER/rig/two:$i"; has "$(docker push "$OTHER/rig/two:$i")" "digest: ${l[$((i - 1))]}"; docker rmi "$OTHER/rig/two:$i" >/dev/null; done
	docker save -o "$RIG/again.tar" two; docker rmi two:1 two:2 two:3 >/dev/null; docker load -qi "$RIG/again.tar" >/dev/null; docker save two | cmp - "$RIG/again.tar"
	docker rmi two:1 two:2 two:3 >/dev/null; eq "$(docker images -aq | wc -l)" 0; consistent
}
t_what_of_a_list_cannot_be_taken_is_passed_over() {
	local n; for n in foreign part; do eq "$(docker load -i "$RIG/$n.tar")" "Loaded image: $n:1"; eq "$(docker image inspect -f '{{.Os}}/{{.Architecture}}' $n:1)" linux/amd64; done
	eq "$(came_as part:1)" '[["arm64",false],["amd64",true]]'; eq "$(came_as foreign:1)" '[["amd64",false],["amd64",true]]'
	has "$(fails api POST "/v1.51/images/load?platform=$(urlencode "$ARM")" -f -H 'Content-Type: application/x-tar' --data-binary @"$RIG/part.tar")" "error: 400"; wipe_images
}
t_an_archive_of_lists_of_lists_comes_to_an_end() { has "$(fails docker load -i "$RIG/bomb.tar")" "it lists too many images"; consistent; }
run_tests
