#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# space comes back at once: what rmi, prune and broken pulls leave goes while other pulls, pushes and saves are under way,
# and what those need stays
. "$(dirname "$0")/../registry/rig.sh"
ARCAD_ARGS+=(--vm-pool 0)
liar LIAR; registry PLAIN
I=$ROOT/data/images
watch() { curl -sSN --max-time 60 --unix-socket "$SOCK" -X POST "http://localhost/images/create?fromImage=$LIAR/$1&tag=latest" >"$RIG/$2" 2>&1 & } # REPO FILE: $! is curl
holds() { grep -c "\"repo\": \"$1\".*holding" "$RIG/LIAR.log" || true; }
holding() { [ "$(holds "$1")" -gt "${2:-0}" ]; }
release() { curl -sS --max-time 5 "http://$LIAR/_release/$1"; }
pull() { docker pull -q "$LIAR/$1:latest" >/dev/null; } # REPO
held() { local n; n=$(holds "$1"); watch "$1" "$2"; until_true 10 holding "$1" "$n"; } # REPO FILE: a pull that stands still
done_well() { release "$1"; wait "$2"; has "$(cat "$RIG/$3")" "Status: Downloaded newer image"; } # REPO PID FILE
bytes() { du -s --block-size=1 "$I" | cut -f1; }
count() { find "$I/$1" -mindepth 1 -maxdepth 1 ! -name '.tmp-*' | wc -l; } # without what is half-made
consistent() { # stops the daemon for it
	arcad_stop; "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" --gc-check=full; arcad_start
}

t_rmi_gives_space_back_while_a_pull_runs() {
	local r=layers-2/size-100000/hold-1/space a before
	pull layers-1/size-20000000/big; held "$r" a; a=$!; before=$(bytes)
	docker rmi "$LIAR/layers-1/size-20000000/big" >/dev/null
	[ $((before - $(bytes))) -ge 40000000 ] || { echo "$before bytes before, $(bytes) after"; return 1; } # the blob and the data
	kill -0 "$a"; done_well "$r" "$a" a; intact "$LIAR/$r:latest"; eq "$(count rootfs)" 1; eq "$(count layers)" 2; eq "$(count blobs/sha256)" 4
	consistent; wipe_images; eq "$(count layers) $(count blobs/sha256) $(count rootfs) $(count ingest)" "0 0 0 0"
}
t_prune_gives_space_back_while_a_pull_runs() {
	local r=layers-2/size-100000/hold-1/prune a before
	pull layers-1/size-20000000/big; held "$r" a; a=$!; before=$(bytes)
	docker image prune -af >/dev/null; [ $((before - $(bytes))) -ge 40000000 ]
	done_well "$r" "$a" a; intact "$LIAR/$r:latest"; consistent; wipe_images
}
t_an_rmi_of_an_image_with_the_same_layers_does_not_break_a_pull() {
	local r=layers-3/size-300000/seed-7/hold-2/shares a
	pull layers-2/size-300000/seed-7/first; held "$r" a; a=$!
	eq "$(grep -c "Already exists" "$RIG/a")" 2
	docker rmi "$LIAR/layers-2/size-300000/seed-7/first" >/dev/null
	eq "$(count rootfs)" 0; eq "$(count layers)" 2 # the root disk went, the layers stay
	done_well "$r" "$a" a; intact "$LIAR/$r:latest"; consistent; wipe_images; eq "$(count layers) $(count blobs/sha256)" "0 0"
}
t_what_was_removed_meanwhile_goes_with_the_pull_that_needed_it() {
	local r=layers-3/size-300000/seed-7/hold-2/given-up a
	pull layers-2/size-300000/seed-7/first; held "$r" a; a=$!
	docker rmi "$LIAR/layers-2/size-300000/seed-7/first" >/dev/null; eq "$(count layers)" 2
	kill "$a"; wait "$a" || true; until_true 10 eval '[ "$(count layers) $(count blobs/sha256) $(count ingest)" = "0 0 0" ]'
	release "$r"
}
t_an_image_of_the_layers_that_a_pull_converts_is_removed() {
	local r=layers-2/size-300000/seed-9/hold-1/same a
	curl -sS "http://$LIAR/v2/layers-1/size-300000/seed-9/x/blobs/$(curl -sS "http://$LIAR/v2/layers-1/size-300000/seed-9/x/manifests/latest" | jq -r '.layers[0].digest')" | gzip -dc >"$RIG/layer.tar"
	docker import "$RIG/layer.tar" imported:1 >/dev/null; eq "$(count layers)" 1
	held "$r" a; a=$!; until_true 10 grep -q "Pull complete" "$RIG/a"
	docker rmi imported:1 >/dev/null; eq "$(count layers)" 1; done_well "$r" "$a" a; consistent; wipe_images
}
t_the_image_that_is_pulled_is_removed_meanwhile() {
	local r=layers-2/size-300000/seed-8/hold-1/again a id
	# the same image under two names, of which one waits: it comes to a store that has lost the other
	held "$r" a; a=$!; id=$(curl -sS "http://$LIAR/v2/$r/manifests/latest" | jq -r .config.digest)
	pull layers-2/size-300000/seed-8/other; eq "$(docker image inspect -f '{{.Id}}' "$LIAR/layers-2/size-300000/seed-8/other")" "$id"
	docker rmi "$id" >/dev/null; fails docker image inspect "$id" >/dev/null
	done_well "$r" "$a" a; eq "$(docker image inspect -f '{{.Id}}' "$LIAR/$r")" "$id"; intact "$LIAR/$r"; consistent; wipe_images
}
t_what_a_failed_pull_leaves_goes_while_another_runs() {
	local r=layers-2/size-100000/hold-1/stays a before
	held "$r" a; a=$!; until_true 10 grep -q "Pull complete" "$RIG/a"; before="$(count layers) $(count blobs/sha256) $(count ingest)"
	fails docker pull "$LIAR/layers-3/size-2000000/diffids/bad" >/dev/null
	eq "$(count layers) $(count blobs/sha256) $(count ingest)" "$before"; done_well "$r" "$a" a; consistent; wipe_images
}
t_an_image_that_is_pushed_can_be_removed() {
	pull layers-2/size-300000/pushed; docker tag "$LIAR/layers-2/size-300000/pushed" "$LIAR/pushhold/x:1"; local p
	curl -sSN --max-time 60 --unix-socket "$SOCK" -X POST -H 'X-Registry-Auth: e30=' "http://localhost/images/$LIAR/pushhold/x/push?tag=1" >/dev/null 2>&1 & p=$!
	until_true 10 holding pushhold/x; wipe_images; eq "$(docker images -q | wc -l)" 0
	eq "$(count blobs/sha256) $(count layers) $(count rootfs)" "4 0 0" # what is sent is blobs
	kill "$p"; wait "$p" || true; until_true 10 eval '[ "$(count blobs/sha256)" = 0 ]'
}
t_a_daemon_killed_with_removals_put_off_gives_them_back_at_its_start() {
	local r=layers-3/size-300000/seed-7/hold-2/killed a
	pull layers-2/size-300000/seed-7/first; held "$r" a; a=$!
	docker rmi "$LIAR/layers-2/size-300000/seed-7/first" >/dev/null; eq "$(count layers)" 2
	arcad_kill9; wait "$a" || true; arcad_start; eq "$(count layers) $(count blobs/sha256)" "0 0"; consistent
	release "$r"; pull "$r"; intact "$LIAR/$r"; wipe_images
}
broken() { # REPO: a pull of it that is given up when two of its three layers are complete
	local was b; was=$(count ingest); held "$1" b; b=$!; until_true 10 eval '[ "$(grep -c "Pull complete" "$RIG/b")" = 2 ]'
	kill "$b"; wait "$b" || true; until_true 10 eval '[ "$(count ingest)" = "$was" ]'
}
t_prune_takes_what_broken_pulls_left() {
	local r=layers-3/size-400000/hold-2/broken; broken "$r"; eq "$(count layers) $(count blobs/sha256)" "2 2"
	docker image prune -f --filter label=x >/dev/null; eq "$(count layers)" 2
	eq "$(api POST /images/prune | jq -c '[(.ImagesDeleted | map(.Deleted | startswith("sha256:"))), .SpaceReclaimed]')" '[[true,true],800000]'
	eq "$(count layers) $(count blobs/sha256)" "0 0"; consistent
	broken layers-3/size-400000/hold-2/cli; has "$(docker image prune -f)" "Total reclaimed space: 800kB"; eq "$(count layers)" 0
	eq "$(docker image prune -f)" "Total reclaimed space: 0B"
}
t_prune_leaves_what_a_pull_uses() {
	local r=layers-3/size-400000/hold-2/used a; broken "$r"; held "$r" a; a=$!; eq "$(grep -c "Already exists" "$RIG/a")" 2
	broken layers-3/size-300000/hold-2/unused; eq "$(count layers)" 4
	eq "$(api POST /images/prune | jq .SpaceReclaimed)" 600000; eq "$(count layers)" 2
	done_well "$r" "$a" a; intact "$LIAR/$r"; consistent; wipe_images; eq "$(count layers) $(count blobs/sha256)" "0 0"
}
check() { "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" "--gc-check=$1" >"$RIG/check" 2>&1; } # MODE
t_gc_check_looks_at_what_broken_pulls_left() {
	local r=layers-3/size-400000/hold-2/checked b l; broken "$r"; pull layers-1/size-1000/fine; arcad_stop; check full
	has "$(cat "$RIG/check")" "consistent: 1 images, 3 layers, 5 blobs"
	for b in "$I"/blobs/sha256/*; do [ "$(stat -c %s "$b")" -lt 100000 ] || break; done
	printf X | dd of="$b" bs=1 seek=50000 conv=notrunc status=none
	check true; fails check full; has "$(cat "$RIG/check")" "kept of a broken pull: blob sha256:$(basename "$b") hashes to sha256:"
	check repair; [ ! -e "$b" ]; eq "$(count layers)" 2; check full
	for l in "$I"/layers/*; do [ "$(stat -c %s "$l/data")" -lt 100000 ] || break; done
	printf X | dd of="$l/tree" bs=1 seek=$(($(stat -c %s "$l/tree") - 2)) conv=notrunc status=none
	fails check full; has "$(cat "$RIG/check")" "kept of a broken pull: layer sha256:$(basename "$l") has a damaged tree"
	check repair; eq "$(count layers)" 1; check full; arcad_start
	release "$r"; pull "$r"; intact "$LIAR/$r"; intact "$LIAR/layers-1/size-1000/fine"; wipe_images
}

echo '{}' >"$ROOT/daemon.json"
run_tests
