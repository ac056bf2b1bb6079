#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh - install the Debian packages that Arca needs (Debian 12 and 13); run as root
#
#   tools/deps.sh build   to build and run the daemon
#   tools/deps.sh test    to run every test, linter and fuzzer as well
#   tools/deps.sh list    print the packages, install nothing
# docs/DEPENDENCIES.md says why each is here.
set -eu

build="build-essential meson ninja-build pkg-config cpio lz4 zstd dpkg-dev
	libmicrohttpd-dev libgnutls28-dev libjansson-dev libsqlite3-dev libnghttp2-dev
	libprotobuf-c-dev protobuf-c-compiler libuv1-dev libarchive-dev liblzma-dev libisal-dev libzstd-dev
	zlib1g-dev libseccomp-dev uthash-dev nettle-dev libcurl4-gnutls-dev
	qemu-system-x86 qemu-utils e2fsprogs erofs-utils kmod xz-utils jq curl ca-certificates binutils
	passt nftables"
test="clang clang-format clang-tidy cppcheck libclang-rt-14-dev mmdebstrap attr iproute2 bind9-dnsutils
	python3 socat openssl apache2-utils skopeo umoci isal iperf3 netcat-openbsd"

. /etc/os-release
# Debian 13 has clang 19's runtime, and virtiofsd and the docker CLI as packages of their own.
if [ "${VERSION_ID:-12}" -ge 13 ] 2>/dev/null; then
	test=$(echo "$test" | sed 's/libclang-rt-14-dev/libclang-rt-dev/')
fi

case ${1:-build} in
build) want=$build ;;
test) want="$build $test" ;;
list) echo $build $test; exit 0 ;;
*) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

missing=
for p in $want; do
	dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "These Debian packages are missing:$missing" >&2
	echo "Install them as root: make deps" >&2
	exit 1
fi
echo "Installing:$missing"
apt-get -q update >/dev/null
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing >/tmp/arca-deps.$$.log 2>&1 || {
	tail -20 /tmp/arca-deps.$$.log >&2
	rm -f /tmp/arca-deps.$$.log
	exit 1
}
rm -f /tmp/arca-deps.$$.log
