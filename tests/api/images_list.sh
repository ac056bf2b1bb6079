#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# the list of images: every filter, shared sizes, counts; as dockerd answers the same requests
. "$(dirname "$0")/../lib.sh"
ARCAD_ARGS=(--vm-pool 0)
# the names (or the beginning of the id) that a filter finds, in order
found() { api GET "/images/json?filters=$(urlencode "$1")" | jq -r '[.[] | (.RepoTags | join(",")) as $t | if $t == "" then .Id[7:11] else $t end] | join(" ")'; }
refused() { api GET "/images/json?filters=$(urlencode "$1")" | jq -r .message; }
ONE=zz/one:1,zz/one:2,reg.example:5000/zz/one:1
small() { python3 "$TESTS/images/small.py" "$ROOT/small.tar" >"$ROOT/ids"; docker load -q -i "$ROOT/small.tar" >/dev/null; }

t_first_newest_first_with_every_field() {
	small
	eq "$(api GET /v1.51/images/json | jq -r '[.[].RepoTags[0]] | map(. // "-") | join(" ")')" "zz/arm:1 - zz-three:1 zz/two:1 zz/one:1"
	eq "$(api GET /v1.51/images/json | jq -Sc '.[4]')" '{"Containers":0,"Created":1704153600,"Id":"sha256:'"$(sed -n 1p "$ROOT/ids")"'","Labels":{"k":"v","x":"1"},"ParentId":"","RepoDigests":[],"RepoTags":["zz/one:1","zz/one:2","reg.example:5000/zz/one:1"],"SharedSize":-1,"Size":105000}'
	eq "$(api GET /v1.51/images/json | jq -c '.[0] | [.Labels, .RepoDigests]')" '[null,[]]'
}
t_older_versions_keep_their_words() {
	eq "$(api GET /v1.42/images/json | jq -c '.[1] | [.RepoTags, .RepoDigests, .VirtualSize, .Containers]')" '[["<none>:<none>"],["<none>@<none>"],300,-1]'
	eq "$(api GET '/v1.40/images/json?filter=zz/two' | jq -c '[.[].RepoTags[]]')" '["zz/two:1"]'
	eq "$(api GET '/v1.41/images/json?filter=zz/two' | jq length)" 5
}
t_shared_size_counts_what_other_images_have_too() {
	eq "$(api GET '/v1.51/images/json?shared-size=1' | jq -c '[.[] | .SharedSize]')" '[7000,300,105300,107000,105000]'
	eq "$(api GET '/v1.41/images/json?shared-size=1' | jq -c '[.[] | .SharedSize] | unique')" '[-1]'
	docker rmi zz/arm:1 >/dev/null
	eq "$(api GET '/v1.51/images/json?shared-size=1' | jq -c '[.[] | .SharedSize]')" '[300,105300,100000,105000]'
	small
}
t_containers_are_counted() {
	docker create --name c1 --network none zz/two:1 x >/dev/null; docker create --name c2 --network none zz/two:1 x >/dev/null
	eq "$(api GET /v1.51/images/json | jq -c '[.[] | .Containers]')" '[0,0,0,2,0]'
	eq "$(api GET /v1.50/images/json | jq -c '[.[] | .Containers] | unique')" '[-1]'
	docker rm c1 c2 >/dev/null
	eq "$(api GET /v1.51/images/json | jq -c '[.[] | .Containers] | unique')" '[0]'
}
t_dangling() {
	eq "$(found '{"dangling":["true"]}')" "$(sed -n '4s/^\(....\).*/\1/p' "$ROOT/ids")"
	eq "$(found '{"dangling":{"0":true}}')" "zz/arm:1 zz-three:1 zz/two:1 $ONE"
	eq "$(refused '{"dangling":["t"]}')" "invalid filter 'dangling=[t]'"
	eq "$(refused '{"dangling":["true","false"]}')" "invalid filter 'dangling=[true false]'"
}
t_labels() {
	eq "$(found '{"label":["k=w"]}')" zz/two:1
	eq "$(found '{"label":["k=v","x"]}')" "$ONE"
	eq "$(found '{"label":["x=2"]}')" ""
	eq "$(refused '{"label!":["k"]}')" "invalid filter 'label!'" # dockerd has it for prune only
}
t_before_since_until() {
	eq "$(found '{"before":["zz/two:1"]}')" "$ONE"
	eq "$(found '{"since":["zz/two:1"],"dangling":["false"]}')" "zz/arm:1 zz-three:1"
	eq "$(found '{"until":["2024-01-03T00:00:00Z"]}')" "$ONE"
	eq "$(found '{"until":["1704240001"]}')" "zz/two:1 $ONE"
	eq "$(refused '{"before":["nosuch"]}')" "No such image: nosuch:latest"
	eq "$(status GET "/images/json?filters=$(urlencode '{"since":["nosuch"]}')")" 404
	eq "$(refused '{"until":["foo"]}')" 'failed to parse value as time or duration: "foo"'
}
t_references_are_globs_over_familiar_names() {
	eq "$(found '{"reference":["zz/*"]}')" "zz/arm:1 zz/two:1 zz/one:1,zz/one:2"
	eq "$(found '{"reference":["zz*"]}')" "zz-three:1"
	eq "$(found '{"reference":["*:1"]}')" "zz-three:1"
	eq "$(found '{"reference":["*/*/*"]}')" "reg.example:5000/zz/one:1"
	eq "$(found '{"reference":["zz/one:2","zz/two"]}')" "zz/two:1 zz/one:2"
	eq "$(found '{"reference":["zz/on?:[^1]"]}')" "zz/one:2"
	eq "$(found '{"reference":["zz/one[!x]1"]}')" "" # no negation in Go
	eq "$(refused '{"reference":["["]}')" "syntax error in pattern"
	eq "$(refused '{"is-official":["x"]}')" "invalid filter 'is-official'"
	eq "$(refused '{"dangling":true}')" "invalid filter"
}

echo '{}' >"$ROOT/daemon.json"
run_tests
