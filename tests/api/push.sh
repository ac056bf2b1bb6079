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
	eq "$(grep ': Preparing' <<<"$out" | cut -c1-12 | xargs)" "$(docker image inspect "$OTHER/rig/said:1" | jq -r '.[0].RootFS.Layers | reverse[]' | cut -c8-19 | xargs)"
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
hidden() { # DIFF-ID...: without these layers' blobs, run what is on stdin
	local d b=$ROOT/data/images/blobs/sha256 rc=0
	for d in "$@"; do mv "$b/${d#sha256:}" "$RIG/hidden.$d"; done
	bash -e -s || rc=$?
	for d in "$@"; do mv "$RIG/hidden.$d" "$b/${d#sha256:}"; done
	return $rc
}
gzips() { python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM pushed_gzips").fetchone()[0])' "$ROOT/data/arca.db"; }
two_layers() { # NAME: busybox and 3 MB more, as a docker-archive; prints its path
	python3 - "$BUSYBOX" "$(tar_of "$1" 3000000 "$2")" "$RIG/$1.docker.tar" <<-'PY'
		import hashlib, io, json, sys, tarfile
		base, extra = tarfile.open(sys.argv[1]), open(sys.argv[2], "rb").read()
		m = json.load(base.extractfile("manifest.json"))[0]
		layers = [base.extractfile(n).read() for n in m["Layers"]] + [extra, extra]
		config = json.load(base.extractfile(m["Config"]))
		config["rootfs"] = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]}
		config["history"] = [{"created": "2024-01-01T00:00:00Z", "created_by": "rig"} for _ in layers]
		files = {f"{i}/layer.tar": x for i, x in enumerate(layers)}
		files["c.json"] = json.dumps(config).encode()
		files["manifest.json"] = json.dumps([{"Config": "c.json", "RepoTags": ["two:1"], "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]).encode()
		with tarfile.open(sys.argv[3], "w") as out:
		    for name, data in files.items():
		        info = tarfile.TarInfo(name)
		        info.size = len(data)
		        out.addfile(info, io.BytesIO(data))
	PY
	echo "$RIG/$1.docker.tar"
}
t_what_lies_uncompressed_is_pushed_as_gzip() {
	wipe_images; docker load -q -i "$(two_layers gz 7)" >/dev/null; docker tag two:1 "$OTHER/rig/gz:1"
	local id out m d; id=$(docker image inspect -f '{{.Id}}' two:1); out=$(docker push "$OTHER/rig/gz:1"); m=$(manifest "$OTHER/rig/gz" 1); d=$(digest_of "$OTHER/rig/gz" 1)
	eq "$(jq -r .config.digest <<<"$m")" "$id"; has "$out" "1: digest: $d size: $(manifest "$OTHER/rig/gz" 1 | wc -c)"
	eq "$(jq -r '.layers[].mediaType' <<<"$m" | sort | uniq -c | xargs)" "3 $(jq -r 'if .mediaType | contains("docker") then "application/vnd.docker.image.rootfs.diff.tar.gzip" else "application/vnd.oci.image.layer.v1.tar+gzip" end' <<<"$m")"
	local i=0 want; for want in $(docker image inspect two:1 | jq -r '.[0].RootFS.Layers[]'); do
		curl -sS "http://$OTHER/v2/rig/gz/blobs/$(jq -r ".layers[$i].digest" <<<"$m")" >"$RIG/blob"
		eq "$(stat -c %s "$RIG/blob")" "$(jq -r ".layers[$i].size" <<<"$m")"; eq "sha256:$(gzip -dc "$RIG/blob" | sha256sum | cut -c1-64)" "$want"; i=$((i + 1))
	done
	eq "$(docker image inspect -f '{{join .RepoDigests " "}}' two:1)" "$OTHER/rig/gz@$d"
	docker inspect "$OTHER/rig/gz@$d" >/dev/null
	has "$(docker pull "$OTHER/rig/gz:1")" "Status: Image is up to date"; eq "$(docker image inspect -f '{{.Id}}' "$OTHER/rig/gz:1")" "$id"
	ours; intact two:1; eq "$(find "$ROOT/data/images/ingest" -type f | wc -l)" 0
}
t_its_second_push_compresses_nothing() {
	ours; local m out d ids; d=$(digest_of "$OTHER/rig/gz" 1); ids=$(docker image inspect two:1 | jq -r '.[0].RootFS.Layers[]' | sort -u)
	docker tag two:1 "$OTHER/rig/gz:2"; docker tag two:1 "$OTHER/rig/gz2:1"; m=$(mark OTHER)
	# what is not read cannot be compressed
	out=$(hidden $ids <<<"timeout 60 $DOCKER push $OTHER/rig/gz:2; timeout 60 $DOCKER push $OTHER/rig/gz2:1")
	eq "$(grep -c ': Layer already exists' <<<"$out")" 2; eq "$(grep -c ': Mounted from rig/gz' <<<"$out")" 2
	eq "$(uploads OTHER "$m" rig/gz)" 0; has "$out" "2: digest: $d"; has "$out" "1: digest: $d"
	# a registry that has nothing is given the same bytes
	docker tag two:1 "$PLAIN/rig/gz:1"; has "$(docker push "$PLAIN/rig/gz:1")" "1: digest: $d"; eq "$(digest_of "$PLAIN/rig/gz" 1)" "$d"
	eq "$(gzips)" 2; wipe_images; eq "$(gzips)" 0
}
t_a_gzip_is_the_same_after_all_was_forgotten() {
	ours; docker load -q -i "$RIG/gz.docker.tar" >/dev/null; docker tag two:1 "$OTHER/rig/gz:3"
	local out; out=$(docker push "$OTHER/rig/gz:3"); eq "$(grep -c ': Layer already exists' <<<"$out")" 2; has "$out" "3: digest: $(digest_of "$OTHER/rig/gz" 1)"
}
t_another_daemon_pulls_the_same_image() {
	ours; local id other=$ROOT/second p; id=$(docker image inspect -f '{{.Id}}' two:1)
	docker import -c 'CMD ["sh"]' "$(tar_of imported 2000000 8)" "$OTHER/rig/imported:1" >/dev/null; docker push -q "$OTHER/rig/imported:1" >/dev/null
	eq "$(manifest "$OTHER/rig/imported" 1 | jq -r '.layers[].mediaType')" application/vnd.oci.image.layer.v1.tar+gzip
	"$BUILD/arcad" -H "unix://$other.sock" --data-root "$other/data" --exec-root "$other/exec" --pidfile "$other.pid" --config-file "$ROOT/daemon.json" --vm-pool 0 >"$other.log" 2>&1 </dev/null & p=$!
	until_true 10 test -S "$other.sock"
	docker -H "unix://$other.sock" pull -q "$OTHER/rig/gz:1" >/dev/null; docker -H "unix://$other.sock" pull -q "$OTHER/rig/imported:1" >/dev/null
	eq "$(docker -H "unix://$other.sock" image inspect -f '{{.Id}}' "$OTHER/rig/gz:1")" "$id"
	eq "$(docker -H "unix://$other.sock" image inspect -f '{{.Id}}' "$OTHER/rig/imported:1")" "$(docker image inspect -f '{{.Id}}' "$OTHER/rig/imported:1")"
	# what it pulled goes on as it came
	docker -H "unix://$other.sock" tag "$OTHER/rig/gz:1" "$PLAIN/rig/again:1"; has "$(docker -H "unix://$other.sock" push "$PLAIN/rig/again:1")" "1: digest: $(digest_of "$OTHER/rig/gz" 1)"
	kill "$p"; wait "$p" || true
}
t_a_damaged_layer_is_not_pushed() {
	ours; wipe_images; docker load -q -i "$(two_layers bad 9)" >/dev/null; docker tag two:1 "$OTHER/rig/bad:1"
	local l b; l=$(docker image inspect two:1 | jq -r '.[0].RootFS.Layers[1]'); b=$ROOT/data/images/blobs/sha256/${l#sha256:}
	printf 'X' | dd of="$b" bs=1 seek=70000 conv=notrunc status=none
	has "$(fails docker push "$OTHER/rig/bad:1" | tail -1)" "layer $l is damaged: it hashes to sha256:"
	has "$(manifest "$OTHER/rig/bad" 1)" MANIFEST_UNKNOWN
	wipe_images; docker pull -q "$PLAIN/rig/base:1" >/dev/null
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
