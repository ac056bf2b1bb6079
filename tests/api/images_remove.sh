#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# untag, delete and prune: which records, which conflicts; as dockerd answers the same requests
. "$(dirname "$0")/../lib.sh"
ARCAD_ARGS=(--vm-pool 0)
del() { api DELETE "/v1.51/images/$1" | jq -rc 'if type == "array" then map(if .Untagged then "-" + .Untagged else "x" + .Deleted[7:19] end) | join(" ") else .message end'; }
prune() { api POST "/v1.51/images/prune?filters=$(urlencode "$1")" | jq -rc 'if .message then .message else [(.ImagesDeleted // [] | map(.Untagged // empty) | sort | join(" ")), (.ImagesDeleted // [] | map(select(.Deleted)) | length), .SpaceReclaimed] | join("|") end'; }
small() { python3 "$TESTS/images/small.py" "$ROOT/small.tar" >"$ROOT/ids"; docker load -q -i "$ROOT/small.tar" >/dev/null; }
id() { sed -n "$1s/^\(............\).*/\1/p" "$ROOT/ids"; }
busy() { # the image of busybox under three names of its own
	image busybox; B=$(docker image inspect -f '{{.Id}}' busybox); B=${B#sha256:}; B=${B:0:12}
	docker tag busybox bb:2; docker tag busybox other:1
}
fresh() { docker images -aq | sort -u | xargs -r timeout 60 "$DOCKER" rmi -f >/dev/null; }
cid() { docker inspect -f '{{.Id}}' user | cut -c1-12; }

t_first_layers_go_with_the_last_image_on_top_of_them() {
	small
	local chain; chain=$(docker image inspect -f '{{index .RootFS.Layers 0}} {{index .RootFS.Layers 1}}' zz/two:1 | tr -d '\n' | sha256sum)
	eq "$(del 'zz/two:1?force=1')" "-zz/two:1 x$(id 2) x${chain:0:12}" # base stays below others, c in arm's image, the chain goes
	eq "$(del zz-three:1 | wc -w)" 3
	eq "$(del zz/one:1)" "-zz/one:1"; eq "$(del zz/one:2)" "-zz/one:2"
	has "$(del reg.example:5000/zz/one:1)" "-reg.example:5000/zz/one:1 x$(id 1) x"
	eq "$(del "$(id 4)" | cut -c1-13)" "x$(id 4)"
	docker rmi zz/arm:1 >/dev/null; eq "$(ls "$ROOT/data/images/layers" "$ROOT/data/images/blobs/sha256")" "$(printf '%s:\n\n%s:' "$ROOT/data/images/blobs/sha256" "$ROOT/data/images/layers")"
}
t_several_repositories_need_force() {
	small; local m="conflict: unable to delete $(id 1) (must be forced) - image is referenced in multiple repositories"
	eq "$(del "$(id 1)")" "$m"; docker rmi reg.example:5000/zz/one:1 >/dev/null; eq "$(del "$(id 1)")" "$m" # two tags of one
	eq "$(del "$(id 1 | cut -c1-4)?force=1" | cut -d' ' -f1-3)" "-zz/one:1 -zz/one:2 x$(id 1)"
}
t_a_stopped_container_is_named() {
	busy; docker create --name user --network none bb:2 true >/dev/null
	eq "$(del bb:2)" "-bb:2"; eq "$(del busybox)" "-busybox:latest"
	eq "$(del other:1)" "conflict: unable to remove repository reference \"other:1\" (must force) - container $(cid) is using its referenced image $B"
	eq "$(del "$B")" "conflict: unable to delete $B (must be forced) - image is being used by stopped container $(cid)"
	has "$(del "$B?force=1")" "-other:1 x$B"; docker rm user >/dev/null
}
t_a_running_container_keeps_its_image_not_the_name() {
	fresh; small; busy; docker rmi "$(id 4)" >/dev/null; docker run -d --name user --network none bb:2 sleep 60 >/dev/null
	local m="conflict: unable to delete $B (cannot be forced) - image is being used by running container $(cid)"
	eq "$(del "$B?force=1")" "$m"; eq "$(del bb:2)" "-bb:2"; eq "$(del busybox)" "-busybox:latest"
	eq "$(del 'other:1?force=1')" "-other:1"; eq "$(del "$B?force=1")" "$m"
	eq "$(docker images --filter dangling=true -q)" "$B"
	has "$(prune '{"dangling":["false"]}')" "zz" # everything else
	eq "$(docker images -q)" "$B"; docker rm -f user >/dev/null; has "$(del "$B")" "x$B"
}
t_what_is_not_there() {
	eq "$(del nosuch)" "No such image: nosuch:latest"; eq "$(del nosuch:1)" "No such image: nosuch:1"
	eq "$(del UPPER)" "invalid reference format: repository name (library/UPPER) must be lowercase"
	eq "$(status DELETE /v1.51/images/nosuch)" 404
}
t_prune_and_what_it_frees() {
	fresh; small; eq "$(prune '{}')" "|2|0" # the nameless one: its layer belongs to another image as well
	docker rmi zz-three:1 >/dev/null; small; docker rmi zz-three:1 >/dev/null; eq "$(prune '{"dangling":["true"]}')" "|2|300"
	small; eq "$(prune '{"dangling":["false"],"label":["k=v"],"label!":["x"]}')" "|2|0"
	small; eq "$(prune '{"dangling":["false"],"until":["2024-01-02T00:00:00Z"]}' | cut -d'|' -f1)" "reg.example:5000/zz/one:1 zz/one:1 zz/one:2"
	small; eq "$(prune '{"dangling":["false"],"until":["2024-01-01T23:59:59Z"]}')" "|0|0"
	eq "$(prune '{"dangling":["false"]}')" "reg.example:5000/zz/one:1 zz-three:1 zz/arm:1 zz/one:1 zz/one:2 zz/two:1|11|112300"
	eq "$(api POST '/v1.51/images/prune' | jq -c .)" '{"ImagesDeleted":null,"SpaceReclaimed":0}'
}
t_prune_refuses_what_it_does_not_know() {
	eq "$(prune '{"reference":["x"]}')" "invalid filter 'reference'"
	eq "$(prune '{"dangling":["x"]}')" "invalid filter 'dangling=[x]'"
	eq "$(prune '{"until":["1h","2h"]}')" "more than one until filter specified"
	eq "$(prune x)" "invalid filter"
}

echo '{}' >"$ROOT/daemon.json"
run_tests
