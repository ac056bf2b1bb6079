#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make.sh - make the images that tests and benchmarks use, from Debian packages; prints each archive's path
#
#   make.sh NAME...      busybox | debian | net | odd | layers120 | layers20 | files50k
# Kept in $ARCA_TEST_CACHE (default ~/.cache/arca-tests), outside the tree; made once. Needs root for debian and net.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${ARCA_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/arca-tests}
mkdir -p "$cache"

note() { echo "tests/images: $*" >&2; }
pack() { "$here/pack.sh" "$@"; }
tar_dir() { # $1 = directory, $2 = tar: owners root, names sorted
	tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1704067200 -cf "$2" .
}

busybox_root() { # $1 = directory
	local d=$1 deb
	mkdir -p "$d"/{bin,etc,root,home,var/lib,usr/bin,usr/sbin} "$work/deb"
	(cd "$work/deb" && apt-get -q -o APT::Sandbox::User=root download busybox-static >/dev/null)
	deb=$(ls "$work"/deb/busybox-static_*.deb); dpkg-deb -x "$deb" "$work/deb/x"
	cp "$(find "$work/deb/x" -path '*bin/busybox' -type f)" "$d/bin/busybox"
	"$d/bin/busybox" --list >"$work/applets"
	for a in $(cat "$work/applets"); do [ "$a" = busybox ] || ln -s busybox "$d/bin/$a"; done
	printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$d/etc/passwd"
	printf 'root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n' >"$d/etc/group"
	mkdir -m 1777 "$d/tmp"; mkdir -m 700 -p "$d/root"
}
make_busybox() {
	busybox_root "$work/root"; tar_dir "$work/root" "$work/layer.tar"
	pack "$1" busybox:latest '{"Cmd":["sh"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}' "$work/layer.tar"
}
make_debian() { # a Debian root of about 235 MB with network tools and a program compiled here
	local suite mirror
	. /etc/os-release; suite=$VERSION_CODENAME
	mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' | awk -v s="$suite" '$1==s && $2=="main" {print $3; exit}')
	note "debian: mmdebstrap $suite (a minute or two)"
	mmdebstrap --quiet --mode=root --variant=minbase --aptopt='APT::Sandbox::User "root"' \
		--include=perl,curl,ca-certificates,dnsutils,iperf3,procps,iproute2,iputils-ping,attr,libcap2-bin,python3-minimal,file,less,strace,gdb-minimal \
		"$suite" "$work/base.tar" "deb $mirror $suite main"
	mkdir -p "$work/extra/usr/local/bin"
	printf '#include <stdio.h>\nint main(void) { puts("compiled program runs"); return 42; }\n' >"$work/hello.c"
	cc -O1 -o "$work/extra/usr/local/bin/hello" "$work/hello.c"
	tar_dir "$work/extra" "$work/extra.tar"
	pack "$1" debian:test '{"Cmd":["bash"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}' "$work/base.tar" "$work/extra.tar"
}
make_net() { # a Debian root with what networks are tried with
	local suite mirror
	. /etc/os-release; suite=$VERSION_CODENAME
	mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' | awk -v s="$suite" '$1==s && $2=="main" {print $3; exit}')
	note "net: mmdebstrap $suite (a minute or two)"
	mmdebstrap --quiet --mode=root --variant=minbase --aptopt='APT::Sandbox::User "root"' \
		--include=curl,ca-certificates,dnsutils,iperf3,iproute2,iputils-ping,netcat-openbsd,nginx-light,wireguard-tools,procps,socat,arping \
		"$suite" "$work/base.tar" "deb $mirror $suite main"
	pack "$1" net:test '{"Cmd":["bash"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}' "$work/base.tar"
}
make_odd() { # the Debian root below two layers of everything that a tar can say
	local debian=$cache/debian-1.tar layers=() l
	[ -s "$debian" ] || debian=$("$0" debian)
	mkdir "$work/d"; tar -C "$work/d" -xf "$debian"
	for l in $(jq -r '.[0].Layers[]' "$work/d/manifest.json"); do layers+=("$work/d/$l"); done
	python3 "$here/odd-layers.py" "$work/a.tar" "$work/b.tar"
	pack "$1" odd:latest '{"Cmd":["bash"]}' "${layers[@]}" "$work/a.tar" "$work/b.tar"
}
make_layers120() { # every layer adds, replaces and removes; the last states what must be left
	local layers=() i d
	busybox_root "$work/root"; tar_dir "$work/root" "$work/l0.tar"; layers=("$work/l0.tar")
	for i in $(seq 1 119); do
		d=$work/l$i; mkdir -p "$d/data/dir$((i % 10))" "$d/keep"
		echo "$i" >"$d/data/latest"; echo "$i" >"$d/keep/$i"; echo "$i" >"$d/data/dir$((i % 10))/f$i"
		[ $((i % 3)) != 0 ] || [ "$i" -lt 4 ] || : >"$d/keep/.wh.$((i - 3))"            # a file of an older layer goes
		[ $((i % 20)) != 0 ] || : >"$d/data/dir$((i % 10))/.wh..wh..opq"                 # a directory starts afresh
		[ "$i" != 50 ] || : >"$d/.wh.home"                                              # a directory goes
		tar_dir "$d" "$d.tar"; layers+=("$d.tar")
	done
	pack "$1" layers120:latest '{"Cmd":["sh"]}' "${layers[@]}"
}
make_layers20() { # 20 layers of 20 MB, which gzip makes about half as large
	local layers=() i f letters
	letters=$(printf 'etaoinshrdlucmfw%.0s' {1..16})
	for i in $(seq 20); do
		mkdir -p "$work/l/layer$i"
		for f in $(seq 16); do
			head -c 1310720 /dev/zero | openssl enc -aes-128-ctr -K "$(printf %032x $((i * 100 + f)))" -iv 00000000000000000000000000000000 |
				tr '\000-\377' "$letters" >"$work/l/layer$i/file$f"
		done
		tar_dir "$work/l" "$work/$i.tar"; rm -r "$work/l"; layers+=("$work/$i.tar")
	done
	pack "$1" layers20:latest '{"Cmd":["sh"]}' "${layers[@]}"
}
make_files50k() { # 50,000 files of 2,000 bytes in 500 directories
	busybox_root "$work/root"
	awk -v root="$work/root/files" 'BEGIN { for (d = 0; d < 500; d++) print root "/" d }' | xargs mkdir -p
	awk -v root="$work/root/files" 'BEGIN { for (i = 0; i < 50000; i++) { f = root "/" int(i / 100) "/f" i; s = sprintf("%08d ", i);
		line = ""; for (j = 0; j < 222; j++) line = line s; printf "%s\n", substr(line, 1, 1999) > f; close(f) } }'
	tar_dir "$work/root" "$work/layer.tar"
	pack "$1" files50k:latest '{"Cmd":["sh"]}' "$work/layer.tar"
}

for name in "$@"; do
	out=$cache/$name-1.tar # the number changes with the recipe
	exec 9>"$cache/$name.lock"; flock 9
	if [ ! -s "$out" ]; then
		note "making $name"
		work=$(mktemp -d "$cache/work.XXXXXX"); trap 'rm -rf "$work"' EXIT
		"make_$name" "$out"
		rm -rf "$work"; trap - EXIT
	fi
	exec 9>&-
	echo "$out"
done
