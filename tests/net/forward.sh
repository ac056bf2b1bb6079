#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The forwarder of published ports, between two network namespaces of its own.
BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
cd "$(dirname "$0")" || exit 1
[ "$(id -u)" = 0 ] || { echo "ok 1 - the forwarder # SKIP needs root"; echo 1..1; exit 0; }
exec python3 forward.py "$BUILD/arca-forward"
