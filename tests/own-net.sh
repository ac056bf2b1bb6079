#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# own-net.sh CMD... - a command in a network namespace of its own, whose uplink leads nowhere and whose resolver knows no
# name: the ports of tests that run at once do not meet, and what the machine has does not matter
set -euo pipefail
here=$(dirname "$0")
if [ "${1:-}" != --inside ]; then
	exec unshare --net --mount "$0" --inside "$@"
fi
shift
ip link set lo up
ip link add eth0 type veth peer name nowhere
ip link set nowhere up
ip link set eth0 up
ip addr add 192.0.2.2/24 dev eth0
ip addr add fd00:2::2/64 dev eth0 nodad
ip route add default via 192.0.2.1
ip -6 route add default via fd00:2::1
resolv=$(mktemp)
echo "nameserver 192.0.2.2" >"$resolv"
chmod 644 "$resolv"
mount --bind "$resolv" /etc/resolv.conf
rm "$resolv"
python3 "$here/nxdomain.py" 192.0.2.2 </dev/null >/dev/null 2>&1 &
exec "$@"
