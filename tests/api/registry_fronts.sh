#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# what stands before registries: HTTP/2 by nginx
RIG_NGINX=1
. "$(dirname "$0")/../registry/rig.sh"

registry PLAIN; registry OTHER "store=$RIG/other"
front FRONT "$PLAIN" 5443; front SINK "$OTHER" 5444
trust "$FRONT"; trust "$SINK"
BUSYBOX=$(archive busybox)
ONE=$(push image "$PLAIN/rig/one:1" "$BUSYBOX" --add "$(tar_of a 300000 1)" --add "$(tar_of b 300000 2)" --add "$(tar_of c 3000000 3)")

since() { tail -n +$(($2 + 1)) "$RIG/$1.log" | grep -E " $3 " || true; } # NAME MARK REGEX: a front's lines with that METHOD PATH
protocols() { since "$@" | cut -d' ' -f1 | sort -u; }

t_first_the_fronts_speak_http_1_as_well() { # so that HTTP/2.0 in their logs says something
	local m; m=$(mark FRONT); curl -sS --http1.1 --cacert "$RIG/ca.pem" "https://$FRONT/v2/" >/dev/null
	eq "$(protocols FRONT "$m" 'GET /v2/')" HTTP/1.1
}
t_a_pull_speaks_http_2_where_it_is_offered() {
	wipe_images; local m; m=$(mark FRONT)
	has "$(docker pull "$FRONT/rig/one:1")" "Digest: $ONE"; intact "$FRONT/rig/one:1"
	eq "$(protocols FRONT "$m" '[A-Z]+ /v2/[^ ]*')" HTTP/2.0
	eq "$(since FRONT "$m" 'GET /v2/rig/one/blobs/sha256:[0-9a-f]{64} 200' | wc -l)" 5 # four layers and the config
	eq "$(since FRONT "$m" 'GET /v2/rig/one/[^ ]*' | cut -d' ' -f2 | sort -u | wc -l)" 1 # all on one connection
}
t_a_push_speaks_http_2_where_it_is_offered() {
	docker pull -q "$FRONT/rig/one:1" >/dev/null; docker tag "$FRONT/rig/one:1" "$SINK/rig/pushed:1"; local m; m=$(mark SINK)
	has "$(docker push "$SINK/rig/pushed:1")" "1: digest: $ONE"; eq "$(digest_of "$OTHER/rig/pushed" 1)" "$ONE"
	eq "$(protocols SINK "$m" '[A-Z]+ /v2/[^ ]*')" HTTP/2.0
	eq "$(since SINK "$m" 'PUT /v2/rig/pushed/blobs/uploads/[^ ]* 201' | wc -l)" 5; eq "$(since SINK "$m" 'PUT /v2/rig/pushed/manifests/1 201' | wc -l)" 1
	wipe_images; has "$(docker pull "$SINK/rig/pushed:1")" "Digest: $ONE"; intact "$SINK/rig/pushed:1"
}

echo '{}' >"$ROOT/daemon.json"
run_tests
