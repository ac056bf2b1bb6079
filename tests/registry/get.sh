#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# get.sh - print the path of Debian's docker-registry, bringing one into DIR where the machine has none
#
#   tests/registry/get.sh DIR
# The package is downloaded and unpacked, never installed: installed, it starts a registry on port 5000 at every boot.
set -eu
dir=$1

if command -v docker-registry >/dev/null 2>&1; then
	command -v docker-registry
	exit 0
fi
if [ ! -x "$dir/usr/bin/docker-registry" ]; then
	mkdir -p "$dir/debs"
	(cd "$dir/debs" && apt-get -q -o APT::Sandbox::User=root download docker-registry >/dev/null)
	dpkg-deb -x "$(ls -t "$dir"/debs/docker-registry_*.deb | head -1)" "$dir"
fi
echo "$dir/usr/bin/docker-registry"
