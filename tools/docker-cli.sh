#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docker-cli.sh - print the path of a docker CLI, bringing one into DIR where the machine has none
#
#   tools/docker-cli.sh DIR
# Nothing is installed and no daemon is started: the package is downloaded and unpacked (Debian 13 and newer: docker-cli,
# Debian 12: the client out of docker.io).
set -eu
dir=$1

if command -v docker >/dev/null 2>&1; then
	command -v docker
	exit 0
fi
if [ ! -x "$dir/usr/bin/docker" ]; then
	mkdir -p "$dir/debs"
	package=docker.io
	[ -z "$(apt-cache madison docker-cli 2>/dev/null)" ] || package=docker-cli
	echo "No docker CLI here: unpacking the one of package $package into $dir" >&2
	(cd "$dir/debs" && apt-get -q download "$package" >/dev/null)
	dpkg-deb -x "$(ls -t "$dir"/debs/${package}_*.deb | head -1)" "$dir"
fi
echo "$dir/usr/bin/docker"
