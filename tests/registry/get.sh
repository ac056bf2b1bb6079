#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# get.sh - print the path of a server out of a Debian package, bringing one into DIR where the machine has none
#
#   tests/registry/get.sh DIR [PACKAGE [PROGRAM]]     docker-registry and usr/bin/PACKAGE by default
# The package is downloaded and unpacked, never installed: installed, it starts its server at every boot.
set -eu
dir=$1 package=${2:-docker-registry}
program=${3:-usr/bin/$package}

if command -v "${program##*/}" >/dev/null 2>&1; then
	command -v "${program##*/}"
	exit 0
fi
if [ ! -x "$dir/$program" ]; then
	mkdir -p "$dir/debs"
	(cd "$dir/debs" && apt-get -q -o APT::Sandbox::User=root download "$package" >/dev/null)
	dpkg-deb -x "$(ls -t "$dir/debs/$package"_*.deb | head -1)" "$dir"
fi
echo "$dir/$program"
