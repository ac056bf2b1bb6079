#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# save and load: many images, the same bytes again, by platform; archives to and from skopeo; the store as it lies there
. "$(dirname "$0")/../lib.sh"
ARCAD_ARGS=(--vm-pool 0)
fresh() { docker images -aq | sort -u | xargs -r timeout 60 "$DOCKER" rmi -f >/dev/null; }
small() { python3 "$TESTS/images/small.py" "$ROOT/small.tar" >"$ROOT/ids"; docker load -q -i "$ROOT/small.tar" >/dev/null; }
ids() { docker images -aq --no-trunc | sort -u; }
ARM=$(urlencode '{"os":"linux","architecture":"arm64"}')
skopeo() { command skopeo --insecure-policy --tmpdir "$ROOT" "$@"; }

t_first_save_load_save_gives_the_same_bytes() {
	small; image busybox
	docker save -o "$ROOT/1.tar" zz/one:1 zz/one:2 zz/two:1 busybox "$(sed -n 4p "$ROOT/ids")"; local before; before=$(ids)
	fresh; docker load -q -i "$ROOT/1.tar" >/dev/null
	docker save -o "$ROOT/2.tar" zz/one:1 zz/one:2 zz/two:1 busybox "$(sed -n 4p "$ROOT/ids")"; cmp "$ROOT/1.tar" "$ROOT/2.tar"
	eq "$(ids | wc -l)" 4; for i in $(ids); do has "$before" "$i"; done
}
t_an_archive_is_docker_and_oci_at_once() {
	mkdir -p "$ROOT/x"; tar -C "$ROOT/x" -xf "$ROOT/1.tar"
	eq "$(jq -c 'map(.RepoTags)' "$ROOT/x/manifest.json")" '[["zz/one:1","zz/one:2"],["zz/two:1"],["busybox:latest"],[]]'
	eq "$(jq -c '[.manifests[].annotations["io.containerd.image.name"]]' "$ROOT/x/index.json")" '["docker.io/zz/one:1","docker.io/zz/one:2","docker.io/zz/two:1","docker.io/library/busybox:latest",null]'
	eq "$(jq -c 'map_values(keys)' "$ROOT/x/repositories")" '{"zz/one":["1","2"],"zz/two":["1"],"busybox":["latest"]}'
	local f; for f in "$ROOT"/x/blobs/sha256/*; do eq "$(sha256sum <"$f" | cut -c1-64)" "$(basename "$f")"; done
	rm "$ROOT/x/manifest.json" "$ROOT/x/repositories"; tar -C "$ROOT/x" -cf "$ROOT/oci.tar" .; local before; before=$(ids)
	fresh; docker load -q -i "$ROOT/oci.tar" >/dev/null; eq "$(ids)" "$before" # the OCI half alone says the same
}
t_blobs_and_manifests_stay_as_they_came() {
	fresh; small; skopeo copy -q --dest-compress --dest-compress-format gzip "docker-archive:$ROOT/small.tar:zz/two:1" "oci-archive:$ROOT/gz.tar:zz/two:gz"
	docker load -q -i "$ROOT/gz.tar" >/dev/null; docker save -o "$ROOT/out.tar" zz/two:gz
	local d; d=$(tar -xOf "$ROOT/gz.tar" index.json | jq -r '.manifests[0].digest'); eq "$(tar -xOf "$ROOT/out.tar" index.json | jq -r '.manifests[0].digest')" "$d"
	eq "$(tar -xOf "$ROOT/out.tar" "blobs/sha256/${d#sha256:}" | sha256sum)" "$(tar -xOf "$ROOT/gz.tar" "blobs/sha256/${d#sha256:}" | sha256sum)"
	eq "$(tar -xOf "$ROOT/out.tar" "blobs/sha256/${d#sha256:}" | jq -r '.layers[].mediaType' | sort -u)" application/vnd.oci.image.layer.v1.tar+gzip
}
t_skopeo_reads_what_is_saved() {
	fresh; small; docker save -o "$ROOT/s.tar" zz/one:1 zz/two:1
	eq "$(skopeo inspect "docker-archive:$ROOT/s.tar:zz/two:1" --config | jq -c .config.Entrypoint)" '["/base"]'
	docker save -o "$ROOT/one.tar" zz/two:1; eq "$(skopeo inspect "oci-archive:$ROOT/one.tar" --config | jq -c .config.Entrypoint)" '["/base"]'
}
t_skopeo_writes_what_is_loaded() {
	local id; id=sha256:$(sed -n 2p "$ROOT/ids"); skopeo copy -q "docker-archive:$ROOT/small.tar:zz/two:1" "docker-archive:$ROOT/d.tar:sk/docker:1"
	skopeo copy -q "docker-archive:$ROOT/small.tar:zz/two:1" "oci-archive:$ROOT/o.tar:sk/oci:1"; skopeo copy -q --format oci "docker-archive:$ROOT/small.tar:zz/two:1" "oci-archive:$ROOT/n.tar"
	fresh; eq "$(docker load -i "$ROOT/d.tar" | tail -1)" "Loaded image: sk/docker:1"; eq "$(docker images -q --no-trunc sk/docker)" "$id"
	eq "$(docker load -i "$ROOT/o.tar" | tail -1)" "Loaded image: sk/oci:1"; eq "$(docker image inspect -f '{{json .Config.Entrypoint}}' sk/oci:1)" '["/base"]'
	has "$(docker load -i "$ROOT/n.tar" | tail -1)" "Loaded image ID: sha256:"
}
t_the_store_itself_is_a_layout_for_skopeo_and_umoci() {
	fresh; small; image busybox; local i=$ROOT/data/images
	eq "$(skopeo inspect "oci:$i:docker.io/zz/two:1" --config | jq -c .config.Entrypoint)" '["/base"]'
	eq "$(skopeo inspect "oci:$i:reg.example:5000/zz/one:1" | jq -c '.Layers | length')" 2
	skopeo copy -q "oci:$i:docker.io/library/busybox:latest" "docker-archive:$ROOT/bb.tar:bb:1"; docker load -q -i "$ROOT/bb.tar" >/dev/null
	eq "$(docker image inspect -f '{{.RootFS.Layers}}' bb:1)" "$(docker image inspect -f '{{.RootFS.Layers}}' busybox)"
	command -v umoci >/dev/null || { echo "umoci is not here: skopeo only"; return 0; }
	has "$(umoci ls --layout "$i")" "reg.example:5000/zz/one:1"
	umoci unpack --image "$i:docker.io/library/busybox:latest" "$ROOT/bundle" >/dev/null; [ -x "$ROOT/bundle/rootfs/bin/busybox" ]
}
t_a_platform_is_saved_and_loaded_alone() {
	fresh; small; local out
	eq "$(api GET "/v1.51/images/get?names=zz/one:1&platform=$ARM" | jq -r .message)" "no suitable export target found for platform linux/arm64"
	eq "$(api GET "/v1.51/images/get?names=zz/arm:1&platform=$ARM" | tar -xO manifest.json | jq -c '.[0].RepoTags')" '["zz/arm:1"]'
	eq "$(api GET "/v1.51/images/get?names=zz/one:1&platform=linux/arm64" | jq -r .message)" "failed to parse platform: invalid character 'l' looking for beginning of value"
	fresh; out=$(curl -sS --unix-socket "$SOCK" -X POST --data-binary @"$ROOT/small.tar" -H 'Content-Type: application/x-tar' "http://x/v1.51/images/load?quiet=1&platform=$ARM")
	eq "$(jq -r .stream <<<"$out")" "Loaded image: zz/arm:1"; eq "$(docker images -q | wc -l)" 1
	out=$(curl -sS --unix-socket "$SOCK" -X POST --data-binary @"$ROOT/small.tar" -H 'Content-Type: application/x-tar' "http://x/v1.51/images/load?platform=$(urlencode '{"os":"linux","architecture":"s390x"}')")
	has "$out" "no image for this platform"; eq "$(docker images -q | wc -l)" 1
}
t_what_is_not_there_is_named_before_the_first_byte() {
	small; eq "$(fails docker save -o "$ROOT/no.tar" zz/one:1 nosuch)" "Error response from daemon: No such image: nosuch"
	eq "$(status GET '/images/get?names=zz/one:1&names=nosuch:1')" 404
	eq "$(api GET "/images/get?$(seq -f 'names=zz/one:1&names=x%g' 100 | paste -sd'&')" | jq -r .message)" "No such image: x1" # two hundred names
}

echo '{}' >"$ROOT/daemon.json"
run_tests
