#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The proof of the rootfs: what a container sees equals what its layers say, and fsck.erofs is clean
. "$(dirname "$0")/../lib.sh"

t_first_of_all_load() { image busybox odd layers120; }
t_a_container_sees_what_the_layers_say() {
	docker image inspect -f '{{range .RootFS.Layers}}{{println .}}{{end}}' odd | grep . >"$ROOT/layers"
	# shellcheck disable=SC2046 # an argument a layer
	"$BUILD/src/image/arca-layer-tool" list "$ROOT/data/images" $(cat "$ROOT/layers") >"$ROOT/want.all"
	DOCKER_TIMEOUT=300 docker run --rm -i --privileged --network none --entrypoint python3 odd - <"$TESTS/vm/listing.py" >"$ROOT/got.all"
	# a directory in which the container has mount points, and the root, are compared without time and links
	python3 - "$ROOT" <<-'EOF'
		import sys
		root = sys.argv[1]
		read = lambda f: {l.split("\t")[0]: l.rstrip("\n").split("\t") for l in open(f"{root}/{f}")}
		want, got = read("want.all"), read("got.all")
		mounted = {"/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
		below = lambda p: any(p == m or p.startswith(m + "/") for m in mounted)
		bad = 0
		for p in sorted(set(want) | set(got)):
		    if below(p):
		        continue
		    w, g = want.get(p), got.get(p)
		    if w and g and p in ("/", "/etc"):
		        w, g = [x[:6] + x[8:] for x in (w, g)]
		    if w != g:
		        print(f"layers:    {w}\ncontainer: {g}")
		        bad += 1
		        if bad > 8:
		            break
		print(f"{len(want)} in the layers, {len(got)} in the container")
		sys.exit(bool(bad) or len(got) < 6000)
	EOF
}
t_fsck_finds_nothing() {
	local vmdk n=0
	for vmdk in "$ROOT"/data/images/rootfs/*/disk.vmdk; do
		(cd "$(dirname "$vmdk")" && qemu-img convert -f vmdk -O raw -S 4k disk.vmdk "$ROOT/disk.raw")
		fsck.erofs "$ROOT/disk.raw"
		rm -f "$ROOT/disk.raw"; n=$((n + 1))
	done
	[ $n = 3 ]
}

echo '{}' >"$ROOT/daemon.json"
run_tests
