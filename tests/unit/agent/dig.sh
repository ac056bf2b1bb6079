#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dig.sh DNS-HOST - asks the container's DNS server with dig, over UDP and TCP, with servers upstream played beside it
host=$1 here=$(cd "$(dirname "$0")" && pwd) n=0 failed=0 pids=()
work=$(mktemp -d)
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT

start() { # NAME CMD...: runs it; its first line of output is its port, left in $port
	local name=$1; shift
	mkfifo "$work/$name"
	"$@" >"$work/$name" &
	pids+=($!)
	read -r port <"$work/$name"
	[ -n "$port" ] || { echo "Bail out! $name does not run"; exit 1; }
}
ask() { dig @127.0.0.11 -p "$port" +tries=1 +timeout=15 +nocookie "$@"; }
check() { # CLAIM WANT GOT
	n=$((n + 1))
	[ "$2" = "$3" ] && { echo "ok $n - $1"; return; }
	echo "# wanted: $2"; sed 's/^/# got: /' <<<"$3"; echo "not ok $n - $1"; failed=1
}
short() { ask +short "$@" | sort | tr '\n' ' '; }
status() { ask "$@" | sed -n 's/.*status: \([A-Z]*\).*/\1/p'; }
flags() { ask "$@" | sed -n 's/^;; flags: \([a-z ]*\);.*/\1/p'; }

start first python3 "$here/dns-upstream.py" 1; up1=$port
start second python3 "$here/dns-upstream.py" 2; up2=$port
start dead bash -c 'echo 1; exec sleep infinity' # port 1: nobody there
dead=$port
start server "$host" "$up1" "$up2"; main=$port

check "A" "172.18.0.1 " "$(short c1)"
check "A in any case, over TCP" "172.18.0.1 " "$(short +tcp hOSTy.NET)"
check "the case of the question and dockerd's TTL" "hOsTy. 600 IN A 172.18.0.1" "$(ask +noall +answer hOsTy | xargs)"
check "a short id" "172.18.0.1 " "$(short 0123456789ab)"
check "AAAA" "fd00::1 " "$(short c1 AAAA)"
check "no AAAA is NOERROR" "NOERROR " "$(status c3 AAAA) $(short c3 AAAA)"
check "PTR" "C1.net. " "$(short -x 172.18.0.1)"
check "PTR of IPv6" "C1.net. " "$(short -x fd00::1)"
check "PTR of a name with dots" "c2.dots.net. " "$(short -x 172.18.0.2)"
check "a service has all addresses" "172.18.0.1 172.18.0.2 172.18.0.3 " "$(short svc)"
check "and each is first now and then" "172.18.0.1 172.18.0.2 172.18.0.3 " \
	"$(for _ in $(seq 60); do ask +short svc | head -1; done | sort -u | tr '\n' ' ')"
check "flags" "qr rd ra" "$(flags c1)"
check "without EDNS, 512 bytes and TC" "qr tc rd ra 30" "$(flags +noedns +ignore many) $(ask +noedns +ignore +short many | wc -l)"
check "+bufsize=1232, and TC" "qr tc rd ra 74" "$(flags +bufsize=1232 +ignore many) $(ask +bufsize=1232 +ignore +short many | wc -l)"
check "+bufsize=8192 is enough" "qr rd ra 300" "$(flags +bufsize=8192 +ignore many) $(ask +bufsize=8192 +short many | wc -l)"
check "who sees TC gets all over TCP" "300" "$(ask +noedns +short many | grep -vc '^;')"
check "many queries in one connection" "40" "$(ask +tcp +keepopen +short $(for i in $(seq 40); do echo c1; done) | grep -c 172.18.0.1)"
check "+edns is answered with EDNS" "; EDNS: version: 0, flags:; udp: 4096" "$(ask +edns c1 | grep 'EDNS: version')"
check "EDNS of a version to come" "BADVERS" "$(status +edns=1 +noednsnegotiation c1)"
check "another opcode" "NOTIMP" "$(status +opcode=NOTIFY c1)"
check "upstream, over UDP and TCP" "9.9.0.1 9.9.0.1 " "$(short a.example)$(short +tcp a.example)"
check "a single label goes upstream" "9.9.0.1 " "$(short unknown)"
check "NXDOMAIN of upstream" "NXDOMAIN" "$(status nx.example)"
check "truncated upstream: the client comes over TCP, and so do we" "9.9.0.1 " "$(ask +short truncated.example | grep -v '^;' | tr '\n' ' ')"
check "a large answer of upstream" "200" "$(ask +short large.example | grep -vc '^;')"
check "SERVFAIL of all is SERVFAIL, without RA" "SERVFAIL qr rd" "$(status servfail.example) $(flags servfail.example)"
check "REFUSED of all is SERVFAIL" "SERVFAIL" "$(status refused.example)"

start half "$host" "$dead" "$up2"
check "the first is dead: the second answers" "9.9.0.2 9.9.0.2 " "$(short a.example)$(short +tcp a.example)"
start none "$host" "$dead" "$dead"
check "all are dead: SERVFAIL" "SERVFAIL SERVFAIL" "$(status a.example) $(status +tcp a.example)"
start internal "$host" internal "$up1"
check "internal: own names only, SERVFAIL for all others" "172.18.0.1 SERVFAIL SERVFAIL" "$(short c1)$(status a.example) $(status -x 8.8.8.8)"
port=$main
check "all say nothing: SERVFAIL in the end" "SERVFAIL" "$(status mute.example)"
echo "1..$n"
exit $failed
