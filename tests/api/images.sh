#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# load, import, images, inspect, tag, rmi; real roots; archives that lie
. "$(dirname "$0")/../lib.sh"
drun() { docker run --rm --network none "$@"; }
archive() { "$TESTS/images/make.sh" "$1" 2>/dev/null; }

t_load_names_what_it_loaded() {
	eq "$(docker load -i "$(archive busybox)" | tail -1)" "Loaded image: busybox:latest"
	eq "$(docker images --format '{{.Repository}}:{{.Tag}}')" "busybox:latest"
	gzip -c "$(archive busybox)" >"$ROOT/b.tar.gz"; has "$(docker load -i "$ROOT/b.tar.gz")" "Loaded image: busybox:latest"
	zstd -q -c "$(archive busybox)" >"$ROOT/b.tar.zst"; has "$(docker load -i "$ROOT/b.tar.zst")" "Loaded image: busybox:latest"
}
t_inspect_is_complete() {
	docker image inspect busybox >"$ROOT/i"
	jq -e '.[0] | (.Id | startswith("sha256:")) and .RepoTags == ["busybox:latest"] and .Os == "linux" and .Architecture == "amd64"
		and .Size > 1000000 and (.RootFS.Layers | length == 1) and .Config.Cmd == ["sh"]' "$ROOT/i" >/dev/null
	local id; id=$(jq -r '.[0].Id' "$ROOT/i")
	eq "$(docker image inspect -f '{{.Id}}' "${id#sha256:}")" "$id"; local short=${id#sha256:}; eq "$(docker image inspect -f '{{.Id}}' "${short:0:12}")" "$id"
	has "$(docker history busybox)" "arca test image"
}
t_tag_untag_delete() {
	docker tag busybox other:v1; docker tag busybox localhost:5000/x/y:z
	has "$(docker images --format '{{.Repository}}:{{.Tag}}')" "localhost:5000/x/y:z"
	local id; id=$(docker image inspect -f '{{.Id}}' busybox)
	has "$(fails docker rmi "$id")" "must be forced) - image is referenced in multiple repositories"
	eq "$(docker rmi other:v1)" "Untagged: other:v1"; docker rmi localhost:5000/x/y:z >/dev/null
	has "$(fails docker tag busybox Upper/Case)" "invalid reference format"
	has "$(fails docker rmi nosuch)" "No such image: nosuch:latest"
	has "$(fails docker image inspect nosuch)" "No such image: nosuch"
}
t_an_image_in_use_is_kept() {
	docker create --name cu --network none busybox true >/dev/null
	has "$(fails docker rmi busybox)" "container $(docker inspect -f '{{.Id}}' cu | cut -c1-12) is using its referenced image"
	docker rm cu >/dev/null
}
t_deleting_gives_the_space_back() {
	has "$(docker rmi busybox)" "Deleted: sha256:"
	eq "$(ls "$ROOT/data/images/layers" "$ROOT/data/images/rootfs" "$ROOT/data/images/blobs/sha256" 2>/dev/null | grep -cE '^[0-9a-f]{64}$' || true)" 0
	image busybox
}
t_import_makes_an_image() {
	mkdir -p "$ROOT/r/bin"; cp /bin/true "$ROOT/r/bin/"; tar -C "$ROOT/r" -c . >"$ROOT/r.tar"
	has "$(docker import -m note -c 'CMD ["/bin/x"]' -c 'ENV A=b' "$ROOT/r.tar" imported:1)" sha256:
	eq "$(docker image inspect -f '{{json .Config.Cmd}} {{index .Config.Env 0}}' imported:1)" '["/bin/x"] A=b'
	gzip -c "$ROOT/r.tar" | docker import - imported:gz >/dev/null; zstd -q -c "$ROOT/r.tar" | docker import - imported:zst >/dev/null
	eq "$(docker image inspect -f '{{.RootFS.Layers}}' imported:gz)" "$(docker image inspect -f '{{.RootFS.Layers}}' imported:zst)"
	docker rmi imported:1 imported:gz imported:zst >/dev/null
}
t_import_reads_changes_as_a_dockerfile() {
	import() { # KEY VALUE...
		local q=fromSrc=-; while [ $# -gt 0 ]; do q="$q&$1=$(jq -rn --arg x "$2" '$x | @uri')"; shift 2; done
		api POST "/v1.51/images/create?$q" --data-binary @"$ROOT/r.tar" -H 'Content-Type: application/x-tar' | jq -r '.message // .status'
	}
	local id; id=$(import changes 'ENV P=/x' changes 'WORKDIR $P/../y/' changes 'CMD a \' changes b platform linux/arm64 message why repo imported tag 2)
	eq "$(api GET "/images/$id/json" | jq -c '[.Config.Cmd, .Config.WorkingDir, .Architecture, .Comment, .RepoTags]')" '[["/bin/sh","-c","a b"],"/y","arm64","why",["imported:2"]]'
	eq "$(import changes 'RUN x')" "RUN is not a valid change command"; eq "$(import changes '')" "file with no instructions"
	eq "$(import repo a tag '!!')" "invalid tag format"; eq "$(import platform windows/amd64)" "operating system is not supported"
	eq "$(import platform foo)" '"foo": unknown operating system or architecture: invalid argument'
	docker rmi imported:2 >/dev/null
}
t_whiteouts_over_120_layers() {
	image layers120
	eq "$(docker image inspect -f '{{len .RootFS.Layers}}' layers120)" 120
	drun layers120 sh -c 'cat /data/latest; ls /keep | sort -n; ls /data/dir0 /data/dir1; ls -d /home' >"$ROOT/l" 2>&1 || true
	eq "$(head -1 "$ROOT/l")" 119
	# file i of keep/ goes when layer i+3 is a multiple of three
	for i in $(seq 119); do [ $(((i + 3) % 3)) = 0 ] && [ $((i + 3)) -le 119 ] && [ $((i + 3)) -ge 4 ] || echo "$i"; done >"$ROOT/want"
	eq "$(sed -n '2,/^\/data\/dir0/p' "$ROOT/l" | grep -E '^[0-9]+$' | md5sum)" "$(md5sum <"$ROOT/want")"
	eq "$(sed -n '/^\/data\/dir0/,/^\/data\/dir1/p' "$ROOT/l" | grep '^f' | xargs)" f100 || eq "$(sed -n '/^\/data\/dir0/,/^\/data\/dir1/p' "$ROOT/l" | grep '^f' | xargs)" "f100 f110"
	has "$(cat "$ROOT/l")" "No such file or directory"
	docker rmi layers120 >/dev/null
}
t_fifty_thousand_files() {
	image files50k
	eq "$(drun files50k sh -c 'find /files -type f | wc -l; md5sum </files/499/f49999')" \
		"$(echo 50000; awk 'BEGIN {s = sprintf("%08d ", 49999); l = ""; for (j = 0; j < 222; j++) l = l s; printf "%s\n", substr(l, 1, 1999)}' | md5sum)"
	docker rmi files50k >/dev/null
}
t_a_debian_root_runs() {
	image debian
	has "$(drun debian:test apt-get --version)" "apt "
	eq "$(drun debian:test perl -e 'print 6*7')" 42
	eq "$(drun debian:test bash -c 'x=(a b c); echo ${#x[@]}')" 3
	local rc=0; eq "$(drun debian:test hello || echo "rc $?")" "$(printf 'compiled program runs\nrc 42')"
	has "$(drun debian:test getcap /usr/bin/ping /bin/ping)" "cap_net_raw"
	has "$(drun debian:test sh -c 'dpkg --audit; dpkg -l bash | tail -1')" bash
}
t_archives_that_lie_are_refused() {
	local b before; b=$(archive busybox); before=$(ls -R "$ROOT/data/images" | sort | md5sum)
	head -c 1000000 "$b" >"$ROOT/cut.tar"; fails docker load -i "$ROOT/cut.tar" >/dev/null
	head -c 100000 /dev/urandom >"$ROOT/noise.tar"; fails docker load -i "$ROOT/noise.tar" >/dev/null
	: >"$ROOT/empty.tar"; fails docker load -i "$ROOT/empty.tar" >/dev/null || true
	mkdir -p "$ROOT/x"; tar -C "$ROOT/x" -xf "$b"
	local layer; layer=$(jq -r '.[0].Layers[0]' "$ROOT/x/manifest.json")
	printf 'X' | dd of="$ROOT/x/$layer" bs=1 seek=5000 conv=notrunc status=none
	tar -C "$ROOT/x" -cf "$ROOT/lie.tar" .; docker rmi busybox >/dev/null
	fails docker load -i "$ROOT/lie.tar" >/dev/null
	eq "$(docker images -q)" "$(docker images -q debian)"
	image busybox; eq "$(ls -R "$ROOT/data/images" | sort | md5sum)" "$before"
	eq "$(api GET /_ping)" OK
}
t_layers_that_climb_are_refused() {
	python3 - "$ROOT" <<-'EOF'
		import io, sys, tarfile
		def make(name, entries):
		    with tarfile.open(f"{sys.argv[1]}/{name}.tar", "w") as t:
		        for n, kind, link in entries:
		            i = tarfile.TarInfo(n); i.type = kind; i.linkname = link; i.size = 1 if kind == tarfile.REGTYPE else 0
		            t.addfile(i, io.BytesIO(b"x"))
		make("dotdot", [("../../etc/owned", tarfile.REGTYPE, "")])
		make("inner", [("a/../../b", tarfile.REGTYPE, "")])
		make("hard", [("x", tarfile.LNKTYPE, "../../etc/passwd")])
		make("abslink", [("etc", tarfile.DIRTYPE, ""), ("etc/l", tarfile.SYMTYPE, "/etc/passwd"), ("etc/l/x", tarfile.REGTYPE, "")])
	EOF
	for n in dotdot inner hard; do fails docker import "$ROOT/$n.tar" "bad:$n" >/dev/null; done
	docker import "$ROOT/abslink.tar" bad:abslink >/dev/null || true
	[ ! -e /etc/owned ]; [ "$(docker images -q bad | wc -l)" -le 1 ]; docker rmi bad:abslink >/dev/null 2>&1 || true
}
t_a_huge_header_and_a_bomb_are_bounded() {
	printf '%s' "$(head -c 124 /dev/zero | tr '\0' 'a')" >/dev/null
	python3 - "$ROOT" <<-'EOF'
		import sys, tarfile
		i = tarfile.TarInfo("pax"); i.type = b"x"; i.size = 2 << 30
		open(f"{sys.argv[1]}/pax.tar", "wb").write(i.tobuf() + b"30 path=aaaaaaaaaaaaaaaaaaaaaa\n" * 10000)
	EOF
	fails docker import "$ROOT/pax.tar" bad:pax >/dev/null
	[ "$(awk '/VmHWM/ {print $2}' "/proc/$(arcad_pid)/status")" -lt 400000 ]
	eq "$(api GET /_ping)" OK
}
t_a_full_disk_is_a_clear_error() {
	mkdir -p "$ROOT/small"; mount -t tmpfs -o size=40m none "$ROOT/small" || skip "cannot mount a tmpfs here"
	trap 'kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; umount "$ROOT/small"' EXIT
	"$BUILD/arcad" -H "unix://$ROOT/small.sock" --data-root "$ROOT/small" --exec-root "$ROOT/small-exec" --config-file "$ROOT/daemon.json" >>"$ROOT/small.log" 2>&1 & p=$!
	until_true 10 test -S "$ROOT/small.sock"
	has "$(fails docker -H "unix://$ROOT/small.sock" load -i "$(archive debian)")" "No space left on device"
	eq "$(docker -H "unix://$ROOT/small.sock" images -q)" ""
	eq "$(ls "$ROOT/small/images/blobs/sha256" 2>/dev/null | wc -l)" 0
}

echo '{}' >"$ROOT/daemon.json"
run_tests
