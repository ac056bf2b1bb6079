#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pack.sh - write an image archive as `docker save` writes it (OCI layout + manifest.json), layers as they are given
#
#   pack.sh OUT.tar NAME:TAG CONFIG LAYER.tar...     CONFIG: JSON object for the image's "config" member
set -euo pipefail
out=$1 name=$2 config=$3; shift 3
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
blobs=$work/blobs/sha256; mkdir -p "$blobs"

digest() { sha256sum "$1" | cut -d' ' -f1; }
put() { # $1 = file: becomes a blob; prints its digest
	local d; d=$(digest "$1"); ln "$1" "$blobs/$d" 2>/dev/null || cp --reflink=auto "$1" "$blobs/$d"; echo "$d"
}
diff_ids=() layers='[]' paths='[]'
for layer in "$@"; do
	d=$(put "$layer"); diff_ids+=("sha256:$d")
	layers=$(jq -c --arg d "sha256:$d" --argjson s "$(stat -c %s "$layer")" \
		'. + [{mediaType:"application/vnd.oci.image.layer.v1.tar",digest:$d,size:$s}]' <<<"$layers")
	paths=$(jq -c --arg p "blobs/sha256/$d" '. + [$p]' <<<"$paths")
done
printf '%s\n' "${diff_ids[@]}" | jq -R . | jq -cs --argjson c "$config" \
	'{architecture:"amd64",os:"linux",created:"2024-01-01T00:00:00Z",config:$c,rootfs:{type:"layers",diff_ids:.},
	  history:[.[]|{created:"2024-01-01T00:00:00Z",created_by:"arca test image"}]}' >"$work/config.json"
c=$(put "$work/config.json")
jq -cn --arg c "sha256:$c" --argjson s "$(stat -c %s "$work/config.json")" --argjson l "$layers" \
	'{schemaVersion:2,mediaType:"application/vnd.oci.image.manifest.v1+json",
	  config:{mediaType:"application/vnd.oci.image.config.v1+json",digest:$c,size:$s},layers:$l}' >"$work/manifest"
m=$(put "$work/manifest")
jq -cn --arg m "sha256:$m" --argjson s "$(stat -c %s "$work/manifest")" --arg n "$name" \
	'{schemaVersion:2,mediaType:"application/vnd.oci.image.index.v1+json",manifests:[{mediaType:"application/vnd.oci.image.manifest.v1+json",
	  digest:$m,size:$s,annotations:{"io.containerd.image.name":("docker.io/library/"+$n),"org.opencontainers.image.ref.name":($n|split(":")[-1])}}]}' \
	>"$work/index.json"
jq -cn --arg n "$name" --arg c "blobs/sha256/$c" --argjson p "$paths" '[{Config:$c,RepoTags:[$n],Layers:$p}]' >"$work/manifest.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci-layout"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1704067200 -cf "$out.part" \
	blobs index.json manifest.json oci-layout
mv "$out.part" "$out"
