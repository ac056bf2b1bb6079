#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# a registry that lies, breaks or never ends: the right error, a daemon that lives, a store without anything half made
. "$(dirname "$0")/../registry/rig.sh"
liar LIAR; liar LOCKED --basic "$USER_NAME:$PASSWORD"; liar ODD --challenge 'Bearer realm="file:///etc/passwd",service="x"'
liar BARE --challenge 'Nonsense'; liar LONG --challenge "Bearer realm=\"$(printf 'x%.0s' {1..5000})"

# Words of liar.py on the left; on the right what the last line must match: the text of Docker's own daemon, or Arca's
# where that takes what it should not (sizes, null), says nothing or never ends.
VERIFY='filesystem layer verification failed for digest sha256:'
lie() { # WORDS REGEX: the pull fails, says so, and leaves no image
	local out; out=$(DOCKER_TIMEOUT=120 fails docker pull "$LIAR/$1/lie:latest") || { echo "$1: $out"; return 1; }
	tail -1 <<<"$out" | grep -qE "$2" || { echo "$1 says: $(tail -1 <<<"$out")"; echo "wanted:  $2"; return 1; }
	! docker image inspect "$LIAR/$1/lie:latest" >/dev/null 2>&1 || { echo "$1 left an image"; return 1; }
}
lies() { # WORDS=REGEX...: all at once
	local w i=0 bad=0 p=()
	for w in "$@"; do lie "${w%%=*}" "${w#*=}" >"$RIG/lie.$i" 2>&1 & p+=($!); i=$((i + 1)); done
	for i in "${!p[@]}"; do wait "${p[$i]}" || { bad=1; cat "$RIG/lie.$i"; }; done
	return $bad
}
files() { find "$ROOT/data/images" -type f ! -name pad | sort; }
unchanged() { # what is there is what was there before: $RIG/files
	[ -n "${TEST_HOST:-}" ] || diff "$RIG/files" <(files)
	eq "$(api GET /_ping)" OK
}
whole() { # a broken pull may keep layers that were complete: nothing under way, every blob's digest is its name, no layer without its parts
	[ -z "${TEST_HOST:-}" ] || return 0
	eq "$(find "$ROOT/data/images/ingest" -mindepth 1)" ""
	(cd "$ROOT/data/images/blobs/sha256" && for f in *; do echo "$f  $f"; done | sha256sum -c --quiet)
	local d; for d in "$ROOT"/data/images/layers/*; do [ -s "$d/tree" ] && [ -e "$d/data" ] || { echo "half a layer: $d"; return 1; }; done
	eq "$(api GET /_ping)" OK
}
high_water() { awk -v k="$1:" '$1 == k {print $2}' "/proc/$(arcad_pid)/status"; }
grows_less_than() { # KIB CMD...: of the daemon's memory, at the highest point
	[ -z "${TEST_HOST:-}" ] || { shift; "$@"; return; }
	local most=$1 idle; shift
	idle=$(high_water VmRSS); echo 5 >"/proc/$(arcad_pid)/clear_refs"; "$@"
	[ $(($(high_water VmHWM) - idle)) -lt "$most" ] || { echo "grew by $(($(high_water VmHWM) - idle)) KiB: $*"; return 1; }
}

t_first_the_liar_can_tell_the_truth() { # what the others compare with
	wipe_images; docker pull -q "$LIAR/truth:latest" >/dev/null; intact "$LIAR/truth:latest"
	docker pull -q "$LIAR/chunked:latest" >/dev/null; docker rmi "$LIAR/chunked:latest" >/dev/null
	[ -n "${TEST_HOST:-}" ] || files >"$RIG/files"
}
t_documents_that_lie() {
	lies 'nonjson=invalid' 'deep=exceeded max depth|maximum parsing depth' 'both=expected manifest but found index|it is an index as well' \
		"diffids=layers from manifest don't match image configuration" 'configdigest=image config verification failed for digest sha256:' \
		'digestpath=invalid checksum digest length|no sha256 digest' 'schema1=schema 1 support has been removed' 'layers-200=max depth exceeded' \
		'layers-1000=max depth exceeded'
	unchanged
}
t_a_manifest_called_an_index_is_refused() { # OCI's answer to CVE-2021-41190: a type and a document that disagree
	lies 'wrongtype=index: expected index but found manifest|invalid'; unchanged
}
t_documents_that_docker_takes() {
	ours # or ends without a word: null, empty, noconfig
	lies 'null=invalid' 'empty=invalid' 'noconfig=invalid.*config' 'manifestlie=manifest verification failed for digest sha256:' \
		'huge=more than [0-9]+ bytes' 'negsize=invalid|size'
	unchanged
}
t_layers_that_lie() {
	lies "wrongdigest=$VERIFY" "short=$VERIFY|unexpected EOF" "long=$VERIFY|invalid size" 'gone=(unknown blob|blob unknown)' \
		'notar=unexpected EOF' 'nested-1=invalid tar header'
	unchanged
}
t_layers_whose_size_lies() {
	ours; lies 'sizeless=size' 'sizemore=size|unexpected EOF' 'hugesize=size|unexpected EOF' "badrange/break=$VERIFY"
	unchanged
}
t_a_registry_that_refuses_is_asked_again_and_then_quoted() {
	lies 'e500=received unexpected HTTP status: 500 Internal Server Error' 'manifest500=received unexpected HTTP status: 500 Internal Server Error' \
		'e429=toomanyrequests: the liar has had enough'
	[ "$(jq -r 'select(.repo == "e500/lie" and .kind == 0).status' "$RIG/LIAR.log" | wc -l)" -ge 2 ]
	unchanged
}
t_a_registry_that_denies_is_quoted() {
	lies 'denied=denied'; unchanged
}
t_a_registry_that_was_down_for_a_moment_is_forgiven() {
	local r more=layers-1/retry-2 # Docker's own daemon does not come back after a 429
	[ -z "${TEST_HOST:-}" ] || more=
	for r in layers-1/flaky-2 layers-1/break layers-1/norange/break $more; do
		docker pull -q "$LIAR/$r:latest" >/dev/null; intact "$LIAR/$r:latest"; docker rmi "$LIAR/$r:latest" >/dev/null
	done
	unchanged
}
t_redirects_in_a_circle_end() {
	lies 'layers-1/circle=stopped after 10 redirects'
	unchanged
}
t_credentials_stay_with_the_host_they_are_for() {
	local auth; auth=$(printf '{"username":"%s","password":"%s"}' "$USER_NAME" "$PASSWORD" | base64 -w0 | tr '+/' '-_')
	has "$(api POST "/images/create?fromImage=$LOCKED/away&tag=latest" -H "X-Registry-Auth: $auth")" "Status: Downloaded newer image"
	eq "$(jq -r 'select(.what == "blobs" and .away).auth' "$RIG/LOCKED.log" | sort | uniq -c | xargs)" "2 false"
	[ "$(jq -r 'select(.what == "blobs" and .away == false).auth' "$RIG/LOCKED.log" | sort -u)" = true ]
	docker rmi "$LOCKED/away:latest" >/dev/null
}
t_challenges_that_make_no_sense() {
	has "$(fails docker pull "$ODD/x:latest")" file:///etc/passwd; fails docker pull "$BARE/x:latest" >/dev/null; fails docker pull "$LONG/x:latest" >/dev/null
	unchanged
}
t_tags_with_odd_characters_end_a_pull_of_all_tags() { # after those before them: latest, ../../x, ...
	eq "$(fails docker pull -a "$LIAR/tags/lie" | tail -1)" "invalid tag format"
	eq "$(docker images --format '{{.Tag}}' "$LIAR/tags/lie")" latest
	eq "$(jq -r 'select(.repo == "tags/lie" and .what == "manifests").ref' "$RIG/LIAR.log" | grep -vcE '^(latest|sha256:.*)$' || true)" 0
	docker rmi "$LIAR/tags/lie:latest" >/dev/null
	eq "$(status POST "/images/create?fromImage=$LIAR/badtags/lie")" 400; eq "$(api POST "/images/create?fromImage=$LIAR/badtags/lie" | jq -r .message)" "invalid tag format"
	has "$(fails docker pull -a "$LIAR/badtags/lie")" "Error response from daemon: invalid tag format"; unchanged
}
t_a_list_of_tags_that_does_not_end() {
	ours; has "$(fails docker pull -a "$LIAR/emptytags/lie")" "more than 1000 pages of tags"
	grows_less_than 65536 eval 'has "$(fails docker pull -a "$LIAR/endlesstags/lie")" "more than"'
	unchanged
}
t_what_does_not_end_takes_no_memory() {
	ours; local l; for l in layers-1/endless=size layers-1/header=headers 'huge=more than' nested-2=invalid 'deep=depth' layers-1/bomb-2=layers layers-1000=depth; do
		grows_less_than 65536 lies "$l"
	done
	unchanged
}
t_a_slow_drip_ends_with_its_client() {
	ours; local p # Docker's own daemon keeps waiting
	curl -sSN --max-time 60 --unix-socket "$SOCK" -X POST "http://localhost/images/create?fromImage=$LIAR/layers-1/drip/lie&tag=latest" >"$RIG/drip" 2>&1 & p=$!
	until_true 20 grep -q Downloading "$RIG/drip"; docker pull -q "$LIAR/beside:latest" >/dev/null; docker rmi "$LIAR/beside:latest" >/dev/null
	kill "$p"; wait "$p" || true
	until_true 20 grep -q '"repo": "layers-1/drip/lie".*"cut": true' "$RIG/LIAR.log"; until_true 5 unchanged
}
dripped() { jq -r --arg r "$1" 'select(.repo == $r and .cut).what' "$RIG/LIAR.log" | wc -l; } # REPO: how often it was given up
t_a_slow_drip_ends_by_itself() {
	ours; local own=("${ARCAD_ARGS[@]}") # Docker's own daemon keeps waiting
	trap 'arcad_stop 2>/dev/null; ARCAD_ARGS=("${own[@]}"); arcad_start' EXIT
	arcad_stop; ARCAD_ARGS+=(--registry-timeout 3); arcad_start
	local p r DOCKER_TIMEOUT=120; docker pull -q "$LIAR/layers-1/size-8000/slow-1000/modem:latest" >"$RIG/modem" 2>&1 & p=$! # longer than all attempts at a drip together
	lies 'layers-1/size-5000/drip=Get "http://.*/blobs/sha256:.*": the registry sends next to nothing' \
		'layers-1/driphead=Get "http://.*/blobs/sha256:.*": the registry sends next to nothing' \
		'dripmanifest=Get "http://.*/v2/": the registry sends next to nothing'
	# it notices with its next byte that nobody listens
	for r in layers-1/size-5000/drip layers-1/driphead dripmanifest; do until_true 10 eval '[ "$(dripped "$r/lie")" = 5 ]'; done
	wait "$p" || { cat "$RIG/modem"; return 1; }; intact "$LIAR/layers-1/size-8000/slow-1000/modem:latest"
	docker tag "$LIAR/layers-1/size-8000/slow-1000/modem:latest" "$LIAR/pushhold/silent:1"
	has "$(fails docker push "$LIAR/pushhold/silent:1")" "the registry sends next to nothing"
	docker rmi "$LIAR/pushhold/silent:1" "$LIAR/layers-1/size-8000/slow-1000/modem:latest" >/dev/null; unchanged
}
t_a_full_disk_is_a_clear_error() {
	ours; mkdir -p "$ROOT/small"; mount -t tmpfs -o size=40m none "$ROOT/small" || skip "cannot mount a tmpfs here"
	trap 'kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; umount "$ROOT/small"' EXIT
	local here=unix://$ROOT/small.sock
	"$BUILD/arcad" -H "$here" --data-root "$ROOT/small" --exec-root "$ROOT/small-exec" --config-file "$ROOT/daemon.json" >>"$ROOT/small.log" 2>&1 & p=$!
	until_true 10 test -S "$ROOT/small.sock"
	has "$(fails docker -H "$here" pull "$LIAR/layers-2/size-30000000/full:latest")" "No space left on device"
	eq "$(docker -H "$here" images -q)" ""; eq "$(find "$ROOT/small/images/ingest" -mindepth 1)" ""
	[ "$(du -sk "$ROOT/small/images" | cut -f1)" -lt 1024 ]
}
t_a_daemon_that_heard_all_this_starts_again() {
	ours; arcad_stop; arcad_start
	wipe_images; docker pull -q "$LIAR/truth:latest" >/dev/null; intact "$LIAR/truth:latest"; whole
}

echo '{}' >"$ROOT/daemon.json"
run_tests
