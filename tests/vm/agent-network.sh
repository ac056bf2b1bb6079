#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# agent-network.sh - networks of two real VMs, without a daemon: the agent's service Network (TAP)
#
# In a network namespace of its own, with one routed tap per VM; nothing of the host's network changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
skip() { echo "1..0 # SKIP $*"; exit 0; }
[ "$(id -u)" = 0 ] || skip "a network namespace with taps needs root"
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
for p in unshare ip jq mkfs.erofs mkfs.ext4 qemu-system-x86_64; do
	command -v "$p" >/dev/null || skip "no $p"
done
for rig in "$build/tests/vm/test-agent-network" "$build-asan/tests/vm/test-agent-network"; do
	[ -x "$rig" ] && break
done
[ -x "$rig" ] || { echo "Bail out! no $rig; tests/run.sh $build unit makes it"; exit 1; }
[ -f "$build/guest/initrd.img" ] || skip "no guest in $build/guest"

work=$(mktemp -d /tmp/arca-agent-network-XXXXXX)
trap 'rm -rf "$work"' EXIT
image=$(tests/images/make.sh busybox)
mkdir "$work/image" "$work/root"
tar -C "$work/image" -xf "$image"
for layer in $(jq -r '.[0].Layers[]' "$work/image/manifest.json"); do
	tar -C "$work/root" -xf "$work/image/$layer"
done
mkdir -p "$work/root/www/cgi-bin"
printf '#!/bin/sh\nprintf "Content-type: text/plain\\r\\n\\r\\n$REMOTE_ADDR\\n"\n' >"$work/root/www/cgi-bin/who"
chmod +x "$work/root/www/cgi-bin/who"
mkfs.erofs --quiet "$work/root.erofs" "$work/root" >/dev/null
truncate -s 256G "$work/root.erofs" # the capacity of the template's, as the upper disks'
mkdir -p "$work/contents/fs" "$work/contents/work"
for upper in a b; do # as src/vm/upper.c makes them
	truncate -s 64G "$work/upper-$upper"
	mkfs.ext4 -q -F -m 0 -E lazy_journal_init=1,root_owner=0:0 -J size=16 -d "$work/contents" \
		-O ^resize_inode,^metadata_csum,uninit_bg,sparse_super2 "$work/upper-$upper"
done
ASAN_OPTIONS=detect_leaks=0 unshare -n "$rig" "$work" "$build/guest" tests/vm/agent-vm.py
