#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# system df: which parts for which type and version, what images share, what the CLI makes of it
. "$(dirname "$0")/../lib.sh"
ARCAD_ARGS=(--vm-pool 0)
parts() { api GET "/$1/system/df${2:-}" | jq -rc 'if .message then .message else [(.LayersSize > 0), (.Images != null), (.Containers != null), (.Volumes != null), (.BuildCache != null)] | map(if . then 1 else 0 end) | join("") end'; }

t_first_images_have_shared_sizes_and_containers() {
	python3 "$TESTS/images/small.py" "$ROOT/small.tar" >/dev/null; docker load -q -i "$ROOT/small.tar" >/dev/null; image busybox
	docker create --name user --network none busybox true >/dev/null
	eq "$(api GET /v1.51/system/df | jq -c '[.Images[] | [.RepoTags[0]?, .Size, .SharedSize, .Containers]] | .[0:5]')" '[["zz/arm:1",7000,7000,0],[null,300,300,0],["zz-three:1",105300,105300,0],["zz/two:1",107000,107000,0],["zz/one:1",105000,105000,0]]'
	eq "$(api GET /v1.51/system/df | jq -c '.Images[5] | [.RepoTags, .SharedSize, .Containers]')" '[["busybox:latest"],0,1]'
	eq "$(api GET /v1.51/system/df | jq -c '.LayersSize - .Images[5].Size')" 112300 # each layer once
	eq "$(api GET /v1.51/system/df | jq -c '.Images[1] | [.RepoTags, .RepoDigests, .Labels]')" '[null,null,{"k":"v"}]'
	eq "$(api GET /v1.51/system/df | jq -c '.Containers | map(.Names[0])')" '["/user"]'
}
t_types_are_parts() {
	eq "$(parts v1.51)" 11111; eq "$(parts v1.51 '?type=image')" 11000; eq "$(parts v1.42 '?type=container')" 00100
	eq "$(parts v1.51 '?type=volume')" 00010; eq "$(parts v1.51 '?type=build-cache')" 00001; eq "$(parts v1.51 '?type=image&type=container')" 11100
	eq "$(parts v1.51 '?type=x')" "unknown object type: x"; eq "$(status GET '/v1.51/system/df?type=x')" 400
	eq "$(parts v1.41 '?type=container')" 11111; eq "$(parts v1.40 '?type=x')" 11111 # they do not know it
}
t_versions_have_their_fields() {
	eq "$(api GET /v1.43/system/df | jq -c '.Images[0] | [.VirtualSize, .RepoDigests]')" '[7000,null]'
	eq "$(api GET /v1.44/system/df | jq -c '.Images[0] | has("VirtualSize")')" false
}
t_the_cli_sums_it_up() {
	has "$(docker system df --format '{{.Type}} {{.TotalCount}} {{.Active}}')" "Images 6 1"
	has "$(docker system df -v | grep '^zz/two')" "107kB     107kB         0B            0"
	docker rm user >/dev/null
}

echo '{}' >"$ROOT/daemon.json"
run_tests
