#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ports_traffic.sh - what goes through a published port: HTTP, UDP, IPv6, half-close, the client's address, the end of a connection
. "$(dirname "$0")/../lib.sh"
web='mkdir /w; echo "hello from $HOSTNAME" >/w/index.html; dd if=/dev/zero of=/w/big bs=1M count=16 2>/dev/null; exec httpd -f -p 80 -h /w'
serve() { docker run -d "$@" busybox sh -c "$web"; }
get() { curl -sS --max-time 20 "$@"; }
got() { has "$(get "$1" 2>&1)" "$2"; }
answers() { until_true 20 got "$1" "hello from"; } # the process may not listen yet
client() { # IP PORT PROTO TEXT [half]: sends, with half closes its side, and prints all that comes back
	python3 - "$@" <<'PY'
import socket, sys
ip, port, proto, text = sys.argv[1:5]
s = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM)
s.settimeout(4)
s.connect((ip, int(port)))
s.sendall(text.encode())
if len(sys.argv) > 5: s.shutdown(socket.SHUT_WR)
out = b""
while True:
    try: more = s.recv(65536)
    except socket.timeout: sys.exit("nothing came")
    out += more
    if not more or proto == "udp": break
sys.stdout.write(out.decode())
PY
}
clean() { docker rm -f aa bb >/dev/null 2>&1 || true; docker network rm u1 v6 v6o int >/dev/null 2>&1 || true; }

t_first_load() { image busybox; }
t_http_over_both_families() {
	serve --name aa --hostname aa -p 19080:80 >/dev/null; answers http://127.0.0.1:19080/
	eq "$(get http://127.0.0.1:19080/)" 'hello from aa'; eq "$(get http://[::1]:19080/)" 'hello from aa'; eq "$(get "http://$(hostname -I | cut -d' ' -f1):19080/")" 'hello from aa'
	eq "$(get http://127.0.0.1:19080/big | wc -c)" 16777216
	local i; for i in $(seq 50); do eq "$(get http://127.0.0.1:19080/)" 'hello from aa'; done
	clean
}
t_two_containers_with_one_port_inside() {
	serve --name aa --hostname aa -p 19081:80 >/dev/null; serve --name bb --hostname bb -p 19082:80 >/dev/null; answers http://127.0.0.1:19081/; answers http://127.0.0.1:19082/
	eq "$(get http://127.0.0.1:19081/)$(get http://127.0.0.1:19082/)" 'hello from aahello from bb'; clean
}
t_a_range_leads_to_each_port() {
	docker run -d --name aa -p 19100-19103:1000-1003 busybox sh -c 'for p in 1000 1001 1002 1003; do nc -ll -p $p -e echo port $p & done; wait' >/dev/null
	local i; for i in 0 1 2 3; do until_true 5 client 127.0.0.1 1910$i tcp ''; has "$(client 127.0.0.1 1910$i tcp '')" "port 100$i"; done; clean
}
t_ports_that_nobody_chose_lead_there() {
	serve --name aa --hostname aa -P --expose 80 >/dev/null; local p; p=$(docker port aa 80/tcp | sed -n '1s/.*://p')
	answers "http://127.0.0.1:$p/"; eq "$(get "http://[::1]:$p/")" 'hello from aa'; clean
}
t_udp_goes_there_and_back() {
	cc -static -x c -o "$ROOT/echo" - <<'C' # busybox has no server for it
#include <netinet/in.h>
int main(void)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(53)}, from;
	char data[65536];
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	bind(fd, (struct sockaddr *)&in, sizeof(in));
	for (;;) {
		socklen_t len = sizeof(from);
		long n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);

		sendto(fd, data, n, 0, (struct sockaddr *)&from, len);
	}
}
C
	tar -C "$ROOT" -c echo | docker import - echo >/dev/null
	docker run -d --name aa -p 19083:53/udp echo /echo >/dev/null
	until_true 5 client 127.0.0.1 19083 udp ping; eq "$(client 127.0.0.1 19083 udp 'to and fro')" 'to and fro'; eq "$(client ::1 19083 udp six)" six
	eq "$(client 127.0.0.1 19083 udp "$(head -c 5000 /dev/zero | tr '\0' x)" | wc -c)" 5000; clean; docker rmi echo >/dev/null
}
t_udp_is_sent_from_a_published_port() { # to the outside, which is the host by its own address; on the host that port stays free for who publishes it
	local out n resp; out=$(hostname -I | cut -d' ' -f1); [ -n "${PEER:-}" ] || [ -s "$ROOT/exec/net/pasta.pid" ] || skip "no way out"
	cc -static -x c -o "$ROOT/peer" - <<'C' # serves 19094, and from there sends to the host's 19095 until it has answered
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(19094)}, out = {.sin_family = AF_INET, .sin_port = htons(19095)}, from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char data[100];

	inet_aton(argv[argc - 1], &out.sin_addr);
	bind(fd, (struct sockaddr *)&in, sizeof(in));
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		socklen_t len = sizeof(from);
		long n;

		if (poll(&p, 1, 200) == 0) {
			sendto(fd, "ping", 4, 0, (struct sockaddr *)&out, sizeof(out));
			continue;
		}
		n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);
		if (from.sin_port == out.sin_port)
			puts("answered"), fflush(stdout);
		else
			sendto(fd, data, n, 0, (struct sockaddr *)&from, len);
	}
}
C
	tar -C "$ROOT" -c peer | docker import - peer >/dev/null
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 19095))
while True: s.sendto(b"pong", s.recvfrom(100)[1])' "$out" & resp=$!; trap "kill $resp" EXIT
	docker run -d --name bb peer /peer "$out" >/dev/null; until_true 10 logs_have bb answered # not published
	docker run -d --name aa -p 19094:19094/udp peer /peer "$out" >/dev/null; until_true 10 logs_have aa answered
	eq "$(client 127.0.0.1 19094 udp 'to and fro')" 'to and fro'
	[ -n "${PEER:-}" ] || for n in 1 2; do # nobody takes it while nobody publishes it
		arcad_kill9; kill -9 "$(awk '{print $1; exit}' "$ROOT/exec/net/forward.pid")"; sleep 0.5; arcad_start
		until_true 5 client 127.0.0.1 19094 udp ping; eq "$(client 127.0.0.1 19094 udp again)" again
	done
	clean; docker rmi peer >/dev/null
}
t_udp_is_answered_at_any_port() { # 51820 and some more are the mesh's in a VM
	local out resp; out=$(hostname -I | cut -d' ' -f1); [ -n "${PEER:-}" ] || [ -s "$ROOT/exec/net/pasta.pid" ] || skip "no way out"
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 19096))
while True: s.sendto(b"pong", s.recvfrom(100)[1])' "$out" & resp=$!; trap "kill $resp" EXIT
	cc -static -x c -o "$ROOT/from" - <<'C'
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(19096)};
	struct timeval wait = {.tv_sec = 1};
	char data[4];

	inet_aton(argv[1], &to.sin_addr);
	for (int i = 2; i < argc; i++) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[i]))};
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		bind(fd, (struct sockaddr *)&in, sizeof(in));
		for (int n = 0;; n++) { /* a datagram may be lost */
			sendto(fd, "ping", 4, 0, (struct sockaddr *)&to, sizeof(to));
			if (recv(fd, data, 4, 0) == 4)
				break;
			if (n == 3) {
				printf("no answer to %s\n", argv[i]);
				break;
			}
		}
	}
}
C
	tar -C "$ROOT" -c from | docker import - from >/dev/null
	eq "$(docker run --rm from /from "$out" 51819 51820 52075 52076)" ""; docker rmi from >/dev/null
}
t_a_side_that_is_closed_hears_the_other() { # half-close: the server answers after it has seen the end
	docker run -d --name aa -p 19084:80 busybox nc -ll -p 80 -e sh -c 'n=$(wc -c); echo "$n bytes"' >/dev/null
	until_true 5 client 127.0.0.1 19084 tcp x half; eq "$(client 127.0.0.1 19084 tcp 'eleven long' half)" '11 bytes'; eq "$(client ::1 19084 tcp '' half)" '0 bytes'; clean
}
t_the_client_is_the_gateway() { # as through dockerd's proxy
	docker network create --subnet 10.94.0.0/24 u1 >/dev/null
	docker run -d --name aa --network u1 -p 19085:80 busybox sh -c 'nc -ll -p 80 -e sh -c "env | grep PEER; netstat -tn | grep :80"' >/dev/null
	until_true 5 client 127.0.0.1 19085 tcp ''; has "$(client 127.0.0.1 19085 tcp '')" 10.94.0.1; clean
}
t_a_container_of_ipv6() {
	docker network create --ipv6 v6 >/dev/null; docker network create --ipv4=false --ipv6 v6o >/dev/null
	serve --name aa --hostname aa --network v6 -p 19086:80 >/dev/null; answers http://127.0.0.1:19086/; eq "$(get http://[::1]:19086/)" 'hello from aa'; docker rm -f aa >/dev/null
	docker run -d --name aa --hostname aa --network v6o -p 19086:80 busybox sh -c "${web/-p 80/-p [::]:80}" >/dev/null; answers http://[::1]:19086/; fails get http://127.0.0.1:19086/ >/dev/null; clean
}
t_two_networks_one_internal() {
	docker network create --internal int >/dev/null; docker network create u1 >/dev/null
	serve --name aa --hostname aa --network int --network u1 -p 19087:80 >/dev/null; answers http://127.0.0.1:19087/; clean
}
t_nobody_listens() { # accepted on the host, ended at once: what dockerd's proxy does
	docker run -d --name aa -p 19088:80 busybox sleep 300 >/dev/null
	fails get http://127.0.0.1:19088/ >/dev/null; clean
}
t_a_connection_ends_with_the_container() {
	docker run -d --name aa -p 19089:80 busybox nc -ll -p 80 -e cat >/dev/null; until_true 5 client 127.0.0.1 19089 tcp x half
	python3 -c '
import socket
s = socket.create_connection(("127.0.0.1", 19089)); s.settimeout(30); s.sendall(b"x"); assert s.recv(9) == b"x"
print("connected", flush=True)
try: print("ended" if s.recv(1) == b"" else "bytes")
except ConnectionResetError: print("ended")' >"$ROOT/conn" & local p=$!
	until_true 10 grep -q connected "$ROOT/conn"; docker rm -f aa >/dev/null; wait $p; has "$(cat "$ROOT/conn")" ended; clean
}
t_a_connection_outlives_the_daemon() {
	docker run -d --name aa -p 19090:80 busybox nc -ll -p 80 -e cat >/dev/null; until_true 5 client 127.0.0.1 19090 tcp x half
	mkfifo "$ROOT/go"; python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", 19090)); s.settimeout(20); s.sendall(b"a"); assert s.recv(9) == b"a"
print("connected", flush=True); open(sys.argv[1]).read(); s.sendall(b"b"); print("got", s.recv(9).decode())' "$ROOT/go" >"$ROOT/conn" & local p=$!
	until_true 10 grep -q connected "$ROOT/conn"; arcad_kill9; echo >"$ROOT/go"; wait $p; has "$(cat "$ROOT/conn")" 'got b'
	arcad_start; eq "$(client 127.0.0.1 19090 tcp again half)" again; clean
}
t_a_stalled_client_stalls_only_itself() {
	serve --name aa --hostname aa -p 19091:80 >/dev/null; answers http://127.0.0.1:19091/
	python3 -c '
import socket, time
s = socket.create_connection(("127.0.0.1", 19091)); s.sendall(b"GET /big HTTP/1.0\r\n\r\n"); s.recv(1); time.sleep(20)' & local p=$!
	eq "$(get http://127.0.0.1:19091/big | wc -c)" 16777216; kill $p; wait $p || true; clean
}
t_nothing_is_left() { eq "$(docker ps -aq)" ''; until_true 10 no_vms; }

echo '{}' >"$ROOT/daemon.json"
run_tests
