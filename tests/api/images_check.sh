#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# arcad --gc-check: a store that is whole passes; each way of breaking it is named, and repaired; not beside a daemon
. "$(dirname "$0")/../lib.sh"
ARCAD_ARGS=(--vm-pool 0)
I=$ROOT/data/images
check() { "$BUILD/arcad" --config-file "$ROOT/daemon.json" --data-root "$ROOT/data" "--gc-check${1:+=$1}" 2>&1; }
broken() { # WORDS [MODE]: exit status 1, and those words
	local out rc=0; out=$(check "${2:-}") || rc=$?; eq "$rc" 1; has "$out" "$1"; has "$out" "not consistent: "
}
repaired() { check repair >"$ROOT/rep"; has "$(tail -1 "$ROOT/rep")" "consistent: "; has "$(tail -1 "$ROOT/rep")" " 0 problems"; check full >/dev/null; }
refill() { arcad_start; small; arcad_stop; }
small() { python3 "$TESTS/images/small.py" "$ROOT/small.tar" >"$ROOT/ids"; docker load -q -i "$ROOT/small.tar" >/dev/null; }
names() { arcad_start; docker images --format '{{.Repository}}:{{.Tag}}' | grep -v none | sort | xargs; arcad_stop; }
some() { find "$I/$1" -mindepth 1 -maxdepth 1 | sort | sed -n "${2:-1}p"; }
layer_of() { echo "$I/layers/$(tar -xOf "$ROOT/small.tar" "$(sed -n "$1p" "$ROOT/ids").json" | jq -r ".rootfs.diff_ids[$2]" | cut -d: -f2)"; }

t_first_not_while_a_daemon_uses_it() {
	small; image busybox
	local rc=0 out; out=$(check) || rc=$?; eq "$rc" 1; has "$out" "the data root $ROOT/data is in use by another arcad"
	arcad_stop
}
t_a_whole_store_is_consistent() {
	eq "$(check)" "$(check full)"; has "$(check)" "consistent: 6 images, 5 layers, "; has "$(check repair)" "consistent: 6 images"
}
t_a_folder_without_data_is_no_success() { has "$(fails "$BUILD/arcad" --gc-check --config-file "$ROOT/daemon.json" --data-root "$ROOT/none")" "there is no data of arcad"; [ ! -e "$ROOT/none" ]; }
t_an_unknown_word_is_refused() { has "$(fails "$BUILD/arcad" --gc-check=some)" 'invalid value "some" for option --gc-check'; }
t_files_without_a_row_are_named_and_swept() {
	echo x >"$I/blobs/sha256/$(printf '0%.0s' $(seq 64))"; mkdir "$I/layers/.tmp-x" "$I/rootfs/abc"; mkdir -p "$I/ingest/7"
	broken "layers/.tmp-x: no row names it"; broken "rootfs/abc: no row names it"; broken "ingest/7: no row names it"; broken "blobs/sha256/000000"
	repaired; [ ! -e "$I/layers/.tmp-x" ]; has "$(check)" "6 images"
}
t_index_and_layout_are_written_anew() {
	echo '{}' >"$I/index.json"; rm "$I/oci-layout"; broken "index.json: is not what the rows give"; broken "oci-layout: is missing"; repaired
	has "$(cat "$I/index.json")" docker.io/zz/two:1
}
t_a_root_disk_is_made_again() {
	local d; d=$(some rootfs); rm "$d/disk.vmdk"; broken "lacks disk.vmdk"; repaired; [ -s "$d/disk.vmdk" ]; has "$(check)" "6 images"
}
t_a_missing_blob_costs_its_image_only() {
	rm "$I/blobs/sha256/$(sed -n 2p "$ROOT/ids")"; broken "image sha256:$(sed -n 2p "$ROOT/ids"): config sha256:$(sed -n 2p "$ROOT/ids") is missing"
	repaired; has "$(check)" "5 images"; eq "$(names)" "busybox:latest reg.example:5000/zz/one:1 zz-three:1 zz/arm:1 zz/one:1 zz/one:2"
	refill
}
t_a_short_blob_is_seen_at_once_a_flipped_bit_by_full() {
	local b; b=$(layer_of 5 0 | sed "s|.*/|$I/blobs/sha256/|") # c's tar, which two and arm have
	printf 'X' | dd of="$b" bs=1 seek=700 conv=notrunc status=none; check >/dev/null; broken "hashes to sha256:" full; truncate -s 700 "$b"; broken "has 700 bytes instead of 10240"
	repaired; eq "$(names)" "busybox:latest reg.example:5000/zz/one:1 zz-three:1 zz/one:1 zz/one:2"; [ ! -e "$b" ]; refill
}
t_a_damaged_layer_is_named() {
	local l; l=$(layer_of 4 0); truncate -s +4096 "$l/data"; broken "layer sha256:$(basename "$l") is damaged"; repaired; [ ! -e "$l" ]; refill
	l=$(layer_of 4 0); printf 'X' | dd of="$l/tree" bs=1 seek=$(($(stat -c %s "$l/tree") - 2)) conv=notrunc status=none
	broken "has a damaged tree" full; repaired; eq "$(names)" "busybox:latest reg.example:5000/zz/one:1 zz/arm:1 zz/one:1 zz/one:2 zz/two:1"; refill
	l=$(layer_of 4 0); rm -r "$l"; broken "layer sha256:$(basename "$l") is missing"; repaired; refill
}
t_rows_that_contradict_their_documents() {
	command -v python3 >/dev/null; cp "$ROOT/data/arca.db" "$ROOT/arca.db"
	sql() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$ROOT/data/arca.db" "$1"; }
	sql "UPDATE images SET size_bytes = 1 WHERE size_bytes = 107000"; broken "size is not that of its layers"
	sql "UPDATE images SET size_bytes = 107000 WHERE size_bytes = 1"; check >/dev/null
	sql "DELETE FROM image_layers WHERE position = 0 AND image_id = 'sha256:$(sed -n 3p "$ROOT/ids")'"; broken "rows of its layers are not complete"
	sql "PRAGMA foreign_keys = 0"; sql "INSERT INTO image_tags (ref, image_id, tagged_ns) VALUES ('docker.io/library/ghost:1', 'sha256:none', 0)"; broken "docker.io/library/ghost:1 points at no image"
	repaired; eq "$(names)" "busybox:latest reg.example:5000/zz/one:1 zz/arm:1 zz/one:1 zz/one:2 zz/two:1"
}
t_what_is_left_runs() { arcad_start; eq "$(docker run --rm --network none busybox echo alive)" alive; arcad_stop; check full >/dev/null; arcad_start; }

echo '{}' >"$ROOT/daemon.json"
run_tests
