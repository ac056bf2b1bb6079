# SPDX-License-Identifier: Apache-2.0
# rig.sh - registries for tests: Debian's docker-registry in several dresses, and one that lies (liar.py)
#
# Source this first; it brings lib.sh along. The test file runs again in a network namespace of its own, where nothing
# but the rig can be reached and every port is free, with an address that is not loopback ($FAR): Docker servers take
# loopback for insecure and would not check its certificates. With TEST_HOST the file stays in the namespace that it was
# started in, which must be that server's and have both kinds of address; the server is to be started with
# --registry-mirror http://127.0.0.1:5055 --insecure-registry registry.test --insecure-registry $FAR:5057 and
# HTTP_PROXY=http://127.0.0.1:5056 NO_PROXY=$FAR for the claims about these.
RIG_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FAR_TOO=10.99.0.2 # another such address
RIG_CACHE=${ARCA_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/arca-tests}
if [ -z "${TEST_HOST:-}${RIG_INSIDE:-}" ]; then
	build=$(realpath "${BUILD:-$RIG_DIR/../../build}")
	# what has to be downloaded, while there is a network
	"$RIG_DIR/../images/make.sh" busybox >/dev/null && "$RIG_DIR/../../tools/docker-cli.sh" "$build/docker-cli" >/dev/null &&
		"$RIG_DIR/get.sh" "$RIG_CACHE/docker-registry" >/dev/null || exit 1
	[ -z "${RIG_NGINX:-}" ] || "$RIG_DIR/get.sh" "$RIG_CACHE/nginx" nginx usr/sbin/nginx >/dev/null || exit 1
	RIG_INSIDE=1 BUILD=$build exec unshare -n bash "$0" "$@"
fi
[ -n "${TEST_HOST:-}" ] || { ip link set lo up && ip addr add 10.99.0.1/32 dev lo && ip addr add "$FAR_TOO/32" dev lo; } || exit 1
# shellcheck source=tests/lib.sh
. "$RIG_DIR/../lib.sh"
FAR=$(ip -4 -o addr show scope global | awk '{sub("/.*", "", $4); print $4; exit}')
RIG=$ROOT/rig STORE=$ROOT/rig/store
CERTS_DIR=${TEST_CERTS_DIR:-$ROOT/certs.d}
ARCAD_ARGS+=(--certs-dir "$CERTS_DIR")
mkdir -p "$RIG" "$STORE" "$CERTS_DIR"
REGISTRY=$("$RIG_DIR/get.sh" "$RIG_CACHE/docker-registry")
USER_NAME=tester PASSWORD=correct-horse-1f9c # looked for in logs and data roots, where it must not be

rig_stop() {
	local f
	for f in "$RIG"/*.pid; do [ ! -e "$f" ] || kill "$(cat "$f")" 2>/dev/null; done
	# of a server whose certs.d is not the test's own
	[ ! -e "$RIG/trusted" ] || xargs rm -rf <"$RIG/trusted"
}
trap 'rig_stop; finish' EXIT

rig_ca() { # made once: a CA, and a server's and a client's certificate under it
	[ ! -s "$RIG/client.pem" ] || return 0
	(
		cd "$RIG" || exit
		openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj '/CN=Rig CA' -days 2 \
			-addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign'
		for who in server client; do
			openssl req -newkey rsa:2048 -nodes -keyout $who.key -out $who.csr -subj "/CN=rig $who"
			printf 'subjectAltName=IP:127.0.0.1,IP:%s,IP:%s,DNS:localhost\nextendedKeyUsage=%sAuth\n' "$FAR" "$FAR_TOO" $who >ext
			openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -days 2 -out $who.pem
		done
	) >"$RIG/ca.log" 2>&1
}

# registry NAME [tls] [clientcert] [basic] [token] [addr=ADDR] [port=N] [store=DIR]: starts docker-registry and sets NAME to its
# ADDR:PORT. All share $STORE unless told otherwise, so that what is pushed to one is in each. Its log, with a line per
# request, is $RIG/NAME.log.
registry() {
	local name=$1 o addr=127.0.0.1 port=0 store=$STORE tls='' auth=''; shift
	for o in "$@"; do
		case $o in
		tls) rig_ca; tls="  tls: {certificate: $RIG/server.pem, key: $RIG/server.key}" ;;
		clientcert) rig_ca; tls="  tls: {certificate: $RIG/server.pem, key: $RIG/server.key, clientcas: [$RIG/ca.pem]}" ;;
		basic)
			htpasswd -Bbn "$USER_NAME" "$PASSWORD" >"$RIG/htpasswd" 2>/dev/null
			auth="auth: {htpasswd: {realm: rig, path: $RIG/htpasswd}}" ;;
		token) token_service; auth="auth: {token: {realm: \"http://$TOKEN/token\", service: rig, issuer: rig, rootcertbundle: $RIG/token.pem}}" ;;
		addr=*) addr=${o#*=} ;; port=*) port=${o#*=} ;; store=*) store=${o#*=} ;;
		*) echo "# registry: $o?"; return 1 ;;
		esac
	done
	cat >"$RIG/$name.yml" <<-YML
		version: 0.1
		log: {level: info, accesslog: {disabled: false}}
		storage: {filesystem: {rootdirectory: $store}, delete: {enabled: true}}
		http:
		  addr: $addr:$port
		  secret: rig
		$tls
		$auth
	YML
	"$REGISTRY" serve "$RIG/$name.yml" >"$RIG/$name.log" 2>&1 </dev/null & echo $! >"$RIG/$name.pid"
	until_true 10 grep -q 'listening on' "$RIG/$name.log" || { cat "$RIG/$name.log"; exit 1; }
	printf -v "$name" %s "$(sed -n 's/.*listening on \([0-9.]*:[0-9]*\).*/\1/p' "$RIG/$name.log" | head -1)"
}
registry_stop() { kill "$(cat "$RIG/$1.pid")"; rm "$RIG/$1.pid"; }
# front NAME BACKEND PORT: nginx speaks TLS and HTTP/2 on that port and hands on to BACKEND; sets NAME to $FAR:PORT. The file
# says RIG_NGINX=1 before it sources this one. $RIG/NAME.log has "PROTOCOL CONNECTION METHOD PATH STATUS BYTES" a request.
front() {
	local name=$1 backend=$2 port=$3; rig_ca
	cat >"$RIG/$name.conf" <<-CONF
		daemon off; worker_processes 1; user root; pid $RIG/$name.nginx-pid; error_log $RIG/$name.err;
		events {}
		http {
			log_format rig '\$server_protocol \$connection \$request_method \$uri \$status \$bytes_sent';
			access_log $RIG/$name.log rig;
			client_body_temp_path $RIG/$name.tmp; proxy_temp_path $RIG/$name.tmp; fastcgi_temp_path $RIG/$name.tmp;
			uwsgi_temp_path $RIG/$name.tmp; scgi_temp_path $RIG/$name.tmp;
			client_max_body_size 0;
			server {
				listen $port ssl http2;
				ssl_certificate $RIG/server.pem; ssl_certificate_key $RIG/server.key;
				location / {
					proxy_pass http://$backend; proxy_http_version 1.1; proxy_request_buffering off;
					proxy_set_header Host \$http_host; proxy_set_header X-Forwarded-Proto https;
				}
			}
		}
	CONF
	mkdir -p "$RIG/$name.tmp"
	"$("$RIG_DIR/get.sh" "$RIG_CACHE/nginx" nginx usr/sbin/nginx)" -e "$RIG/$name.err" -c "$RIG/$name.conf" >"$RIG/$name.out" 2>&1 </dev/null & echo $! >"$RIG/$name.pid"
	until_true 10 curl -sk --max-time 2 -o /dev/null "https://$FAR:$port/v2/" || { cat "$RIG/$name.err" "$RIG/$name.out"; exit 1; }
	printf -v "$name" %s "$FAR:$port"
}
# connect_proxy NAME [connect_proxy.py options]: starts that and sets NAME to its ADDR:PORT
connect_proxy() {
	local name=$1; shift
	python3 "$RIG_DIR/connect_proxy.py" --ready "$RIG/$name.addr" --log "$RIG/$name.log" "$@" >"$RIG/$name.err" 2>&1 </dev/null & echo $! >"$RIG/$name.pid"
	until_true 10 test -s "$RIG/$name.addr" || { cat "$RIG/$name.err"; exit 1; }
	read -r "$name" <"$RIG/$name.addr"
}
token_service() { # sets TOKEN to the ADDR:PORT of a bearer-token service (token_service.py)
	[ ! -s "$RIG/token.addr" ] || { TOKEN=$(cat "$RIG/token.addr"); return 0; }
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$RIG/token.key" -out "$RIG/token.pem" -subj '/CN=rig tokens' -days 2 2>/dev/null
	python3 "$RIG_DIR/token_service.py" "$RIG/token.key" "$RIG/token.pem" "$USER_NAME:$PASSWORD" "$RIG/token.addr" >"$RIG/token.log" 2>&1 </dev/null &
	echo $! >"$RIG/token.pid"
	until_true 10 test -s "$RIG/token.addr"; TOKEN=$(cat "$RIG/token.addr")
}
# liar NAME [liar.py options]: starts liar.py and sets NAME to its ADDR:PORT, NAME_AWAY to that of its other host
liar() {
	local name=$1; shift
	python3 "$RIG_DIR/liar.py" --ready "$RIG/$name.addr" --log "$RIG/$name.log" "$@" >"$RIG/$name.err" 2>&1 </dev/null &
	echo $! >"$RIG/$name.pid"
	until_true 10 test -s "$RIG/$name.addr" || { cat "$RIG/$name.err"; exit 1; }
	read -r "$name" "${name}_AWAY" <"$RIG/$name.addr"
}

push() { python3 "$RIG_DIR/push.py" "$@"; } # see there; prints the digest
archive() { "$TESTS/images/make.sh" "$1" 2>/dev/null; }
tar_of() { # NAME SIZE [SEED]: a layer of one file NAME with SIZE bytes that do not compress; prints its path
	mkdir -p "$RIG/tar.$1"
	head -c "$2" /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' "${3:-1}")" -iv 00000000000000000000000000000000 >"$RIG/tar.$1/$1"
	tar -C "$RIG/tar.$1" --mtime=@1704067200 --owner=0 --group=0 --numeric-owner -cf "$RIG/$1.tar" "$1"; rm -r "$RIG/tar.$1"
	echo "$RIG/$1.tar"
}
trust() { # ADDR:PORT [client]: the rig's CA in certs.d for that registry
	local d=$CERTS_DIR/$1
	mkdir -p "$d"; echo "$d" >>"$RIG/trusted"; cp "$RIG/ca.pem" "$d/ca.crt"
	[ "${2:-}" != client ] || { cp "$RIG/client.pem" "$d/client.cert"; cp "$RIG/client.key" "$d/client.key"; }
}
mark() { wc -l <"$RIG/$1.log"; } # NAME: a place in a registry's log
requests() { # NAME MARK REGEX: how many requests since then match "METHOD PATH", e.g. 'GET /v2/x/blobs/'
	tail -n +$(($2 + 1)) "$RIG/$1.log" | grep -cE "\"$3" || true
}
manifest() { # ADDR:PORT/REPO TAG-OR-DIGEST: the manifest's bytes as that (plain) registry has them
	local r=$1; curl -sS --max-time 10 -H 'Accept: application/vnd.oci.image.index.v1+json' -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		-H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
		"http://${r%%/*}/v2/${r#*/}/manifests/$2"
}
digest_of() { manifest "$@" | sha256sum | sed 's/ .*//; s/^/sha256:/'; }
ours() { [ -z "${TEST_HOST:-}" ] || skip "about arcad alone"; }
intact() { # IMAGE: what save gives has the digests that it is named by
	rm -rf "$RIG/saved"; mkdir "$RIG/saved"; docker save "$1" | tar -C "$RIG/saved" -x
	(cd "$RIG/saved/blobs/sha256" && for f in *; do echo "$f  $f"; done | sha256sum -c --quiet)
}
wipe_images() { docker images -aq --no-trunc | sort -u | xargs -r timeout 60 "$DOCKER" rmi -f >/dev/null 2>&1 || true; }
