#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build.sh - assemble what every VM boots: OUT/vmlinux and OUT/initrd.img, and OUT/rehearsal.erofs
#
# usage: guest/build.sh OUT_DIR BUILD_DIR
#
# BUILD_DIR has arca-agent and arca-rehearse.
#
# The kernel is Debian's cloud kernel: its package is downloaded and unpacked below OUT, never
# installed. The initrd holds the agent as /init, the modules of modules.list with all they need
# under /modules, and /modules/order, which names them in loading order, one per line. A second
# run does only what changed.
set -euo pipefail

if [ $# -ne 2 ]; then
	echo "usage: $0 OUT_DIR BUILD_DIR" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/cache"
out=$(cd "$1" && pwd)
agent=$2/arca-agent
rehearse=$2/arca-rehearse
cache=$out/cache

say() { echo "guest: $*"; }
die() { echo "guest: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "cannot find $1; install the package $2"; }

PATH=$PATH:/usr/sbin:/sbin
need apt-get apt
need dpkg-deb dpkg
need depmod kmod
need cpio cpio
need mkfs.erofs erofs-utils
[ -x "$agent" ] || die "no agent at $agent; build it first"

arch=$(dpkg --print-architecture)

# newest_kernel_package - what linux-image-cloud-ARCH stands for today; empty if apt knows none
newest_kernel_package()
{
	apt-cache depends "linux-image-cloud-$arch" 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

# fetch_kernel - download and unpack the package unless that was done; sets $root and $release
fetch_kernel()
{
	local package version tmp

	# apt is asked again only when its lists changed: it takes its time
	if [ -z "${ARCA_KERNEL_PACKAGE:-}" ] && [ "$cache/current" -nt /var/lib/apt/lists ] &&
		[ -d "$cache/$(cat "$cache/current")" ]; then
		root=$cache/$(cat "$cache/current")
		release=$(basename "$root"/lib/modules/*)
		return
	fi
	package=${ARCA_KERNEL_PACKAGE:-$(newest_kernel_package)}
	if [ -z "$package" ] && [ -f "$cache/current" ]; then
		say "apt knows no kernel just now; the one unpacked earlier stays"
		package=$(sed 's/_.*//' "$cache/current")
		version=$(sed 's/.*_//' "$cache/current")
	elif [ -z "$package" ]; then
		die "apt knows no linux-image-cloud-$arch; run: apt-get update"
	else
		version=$(apt-cache policy "$package" | sed -n 's/^ *Candidate: //p' | tr ':' '-')
	fi
	root=$cache/${package}_$version
	if [ ! -d "$root" ]; then
		say "downloading $package $version"
		tmp=$cache/download.$$
		rm -rf "$tmp"
		mkdir -p "$tmp/root"
		trap 'rm -rf "$tmp"' EXIT
		(cd "$tmp" && apt-get download -q -o APT::Sandbox::User=root "$package" >/dev/null) ||
			die "cannot download $package; run: apt-get update"
		say "unpacking $package"
		dpkg-deb -x "$tmp"/*.deb "$tmp/root"
		unmerged_lib "$tmp/root"
		release=$(basename "$tmp"/root/lib/modules/*)
		depmod -b "$tmp/root" "$release"
		mv "$tmp/root" "$root"
		rm -rf "$tmp"
		trap - EXIT
	fi
	release=$(basename "$root"/lib/modules/*)
	echo "${package}_$version" >"$cache/current"
}

# unmerged_lib ROOT - newer packages keep modules in usr/lib only; depmod wants lib
unmerged_lib()
{
	if [ ! -e "$1/lib" ] && [ -d "$1/usr/lib/modules" ]; then
		ln -s usr/lib "$1/lib"
	fi
}

# u32 FILE OFFSET, u8 FILE OFFSET - a little-endian number out of a file
u32() { od -An -tu4 -j "$(($2))" -N 4 "$1" | tr -d ' '; }
u8() { od -An -tu1 -j "$(($2))" -N 1 "$1" | tr -d ' '; }

# extract_vmlinux BZIMAGE VMLINUX - the compressed ELF kernel inside a bzImage
#
# The setup header says where the payload is (payload_offset, payload_length); its last four
# bytes are the unpacked size, which is not part of the compressed stream.
extract_vmlinux()
{
	local image=$1 start length magic unpack

	start=$((($(u8 "$image" 0x1f1) + 1) * 512 + $(u32 "$image" 0x248)))
	length=$(($(u32 "$image" 0x24c) - 4))
	magic=$(od -An -tx1 -j "$start" -N 4 "$image" | tr -d ' ')
	case $magic in
	02214c18) need lz4 lz4; unpack="lz4 -dcq" ;;
	28b52ffd) need zstd zstd; unpack="zstd -dcq" ;;
	fd377a58) need xz xz-utils; unpack="xz -dcq --single-stream" ;;
	1f8b*) unpack="gzip -dcq" ;;
	*) die "$image: unknown compression (magic $magic)" ;;
	esac
	dd if="$image" bs=1M iflag=skip_bytes,count_bytes skip="$start" count="$length" status=none |
		$unpack >"$2.tmp" ||
		die "$image: cannot unpack the kernel"
	[ "$(od -An -tx1 -N 4 "$2.tmp" | tr -d ' ')" = 7f454c46 ] || die "$image: no ELF kernel inside"
	mv "$2.tmp" "$2"
}

# make_kernel - OUT/vmlinux (arm64: the Image as it is)
make_kernel()
{
	local image=$root/boot/vmlinuz-$release

	if [ "$out/vmlinux" -nt "$image" ] && [ "$(cat "$out/release" 2>/dev/null)" = "$release" ]; then
		return
	fi
	say "extracting the kernel $release"
	case $arch in
	amd64) extract_vmlinux "$image" "$out/vmlinux" ;;
	*) cp "$image" "$out/vmlinux.tmp" && mv "$out/vmlinux.tmp" "$out/vmlinux" ;;
	esac
	touch "$out/vmlinux"
	echo "$release" >"$out/release"
}

# module_order - modules.list and all they need, in loading order, as paths below lib/modules/REL
#
# Depth first over modules.dep (hard dependencies) and the "pre" part of modules.softdep; names
# are compared with '-' as '_'. What is built in, or not in this kernel, is left out.
module_order()
{
	awk '
	function canon(s) { sub(/.*\//, "", s); sub(/\.ko.*/, "", s); gsub(/-/, "_", s); return s }
	function visit(name,    i, n, parts) {
		if (name in done || !(name in path)) return
		done[name] = 1
		n = split(soft[name], parts, " ")
		for (i = 1; i <= n; i++) visit(parts[i])
		n = split(dep[name], parts, " ")
		for (i = n; i >= 1; i--) visit(parts[i])
		print path[name]
	}
	FILENAME ~ /modules\.dep$/ {
		name = canon(substr($1, 1, length($1) - 1))
		path[name] = substr($1, 1, length($1) - 1)
		for (i = 2; i <= NF; i++) dep[name] = dep[name] " " canon($i)
		next
	}
	FILENAME ~ /modules\.softdep$/ {
		if ($1 != "softdep") next
		pre = 0
		for (i = 3; i <= NF; i++) {
			if ($i == "pre:") pre = 1
			else if ($i == "post:") pre = 0
			else if (pre) soft[canon($2)] = soft[canon($2)] " " $i
		}
		next
	}
	FILENAME ~ /modules\.alias$/ {
		if ($1 == "alias") alias[$2] = alias[$2] " " canon($3)
		next
	}
	/^[a-z]/ { wanted[++n_wanted] = canon($1) }
	END {
		# a soft dependency may be an alias ("crypto-chacha20"), with several candidates
		for (name in soft) {
			n = split(soft[name], parts, " "); text = ""
			for (i = 1; i <= n; i++)
				text = text " " ((parts[i] in alias) ? alias[parts[i]] : canon(parts[i]))
			soft[name] = text
		}
		for (i = 1; i <= n_wanted; i++) visit(wanted[i])
	}' "$root/lib/modules/$release/modules.dep" "$root/lib/modules/$release/modules.softdep" \
		"$root/lib/modules/$release/modules.alias" "$here/modules.list"
}

# unpack_module FROM TO - modules are stored plain in the initrd: the agent only loads them
unpack_module()
{
	case $1 in
	*.ko) cp "$1" "$2" ;;
	*.ko.xz) need xz xz-utils; xz -dc "$1" >"$2" ;;
	*.ko.zst) need zstd zstd; zstd -dcq "$1" >"$2" ;;
	*.ko.gz) gzip -dc "$1" >"$2" ;;
	*) die "$1: unknown module compression" ;;
	esac
}

# make_modules - cache/modules/*.ko and cache/modules/order
make_modules()
{
	local dir=$cache/modules stamp path name

	stamp="$release $(cat "$here/modules.list" "$here/build.sh" | cksum)"
	if [ "$(cat "$cache/modules.stamp" 2>/dev/null)" = "$stamp" ]; then
		return
	fi
	rm -rf "$dir"
	mkdir -p "$dir"
	while read -r path; do
		name=$(basename "$path")
		name=${name%%.ko*}.ko
		unpack_module "$root/lib/modules/$release/$path" "$dir/$name"
		echo "$name" >>"$dir/order"
	done < <(module_order)
	[ -s "$dir/order" ] || die "no module of modules.list is in $release"
	say "$(wc -l <"$dir/order") modules, $(du -sk "$dir" | cut -f1) KiB"
	echo "$stamp" >"$cache/modules.stamp"
}

# make_initrd - OUT/initrd.img: uncompressed newc, the quickest to unpack under emulation
make_initrd()
{
	local tree stamp

	stamp="$(cksum <"$agent") $(cat "$cache/modules.stamp")"
	if [ -f "$out/initrd.img" ] && [ "$(cat "$cache/initrd.stamp" 2>/dev/null)" = "$stamp" ]; then
		return
	fi
	say "packing the initrd"
	tree=$cache/initrd.$$
	rm -rf "$tree"
	mkdir -p "$tree/dev" "$tree/proc" "$tree/sys" "$tree/run"
	install -m 0755 "$agent" "$tree/init"
	cp -r "$cache/modules" "$tree/modules"
	find "$tree" -exec touch -h -d @0 {} +
	(cd "$tree" && find . -mindepth 1 | LC_ALL=C sort |
		cpio -o -H newc --owner=0:0 --reproducible --quiet) >"$out/initrd.tmp"
	rm -rf "$tree"
	mv "$out/initrd.tmp" "$out/initrd.img"
	echo "$stamp" >"$cache/initrd.stamp"
}

# make_rehearsal - OUT/rehearsal.erofs: what VMs of the pool run before somebody takes them
make_rehearsal()
{
	local tree=$cache/rehearsal.$$

	if [ "$out/rehearsal.erofs" -nt "$rehearse" ] && [ "$out/rehearsal.erofs" -nt "$here/build.sh" ]; then
		return
	fi
	rm -rf "$tree"
	mkdir -p "$tree/etc" "$tree/tmp"
	install -m 0755 "$rehearse" "$tree/rehearse"
	echo "root:x:0:0:root:/:/rehearse" >"$tree/etc/passwd"
	echo "root:x:0:" >"$tree/etc/group"
	rm -f "$out/rehearsal.tmp"
	mkfs.erofs --quiet -T 0 --all-root "$out/rehearsal.tmp" "$tree" >/dev/null ||
		die "mkfs.erofs failed"
	rm -rf "$tree"
	mv "$out/rehearsal.tmp" "$out/rehearsal.erofs"
}

fetch_kernel
make_kernel
make_modules
make_initrd
make_rehearsal
say "kernel $release, $(($(stat -c %s "$out/vmlinux") >> 20)) MiB;" \
	"initrd $(($(stat -c %s "$out/initrd.img") >> 10)) KiB"
