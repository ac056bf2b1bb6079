#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# images for another processor: kept, saved, warned of, and a clear word when one is run
. "$(dirname "$0")/../lib.sh"
ARCAD_ARGS=(--vm-pool 0)
HOST=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')

t_first_an_image_of_another_processor_is_kept() {
	mkdir -p "$ROOT/r"; head -c 4096 /dev/zero >"$ROOT/r/prog"
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\267\0\1\0\0\0' | dd of="$ROOT/r/prog" conv=notrunc status=none
	echo "no program" >"$ROOT/r/text"; chmod 755 "$ROOT"/r/*; tar -C "$ROOT/r" -cf "$ROOT/r.tar" .
	docker import --platform linux/arm64/v8 -c 'CMD ["/prog"]' "$ROOT/r.tar" foreign:1 >/dev/null; docker import -c 'CMD ["/text"]' "$ROOT/r.tar" own:1 >/dev/null
	local id; id=$(docker images -q --no-trunc foreign)
	eq "$(docker image inspect -f '{{.Os}}/{{.Architecture}}/{{.Variant}}' foreign:1)" linux/arm64/v8
	docker save -o "$ROOT/f.tar" foreign:1; docker rmi foreign:1 >/dev/null; docker load -q -i "$ROOT/f.tar" >/dev/null
	eq "$(docker images -q --no-trunc foreign)" "$id"
}
t_create_warns_unless_it_was_asked_for() {
	[ "$HOST" = amd64 ] || skip "the image is for this processor"
	has "$(docker create --name aa --network none foreign:1 2>&1)" "WARNING: The requested image's platform (linux/arm64/v8) does not match the detected host platform (linux/amd64"
	eq "$(docker create --name bb --platform linux/arm64 --network none foreign:1 2>&1 | wc -l)" 1
	eq "$(docker create --name cc --network none own:1 2>&1 | wc -l)" 1
	docker ps -aq | xargs -r timeout 60 "$DOCKER" rm >/dev/null
}
t_a_platform_asked_for_must_fit() {
	has "$(fails docker create --pull never --platform linux/s390x --network none own:1)" "image with reference own:1 was found but its platform (linux/$HOST) does not match the specified platform (linux/s390x)"
	has "$(fails docker create --pull never --platform foo --network none own:1)" "unknown operating system or architecture"
}
t_running_one_says_what_is_missing() {
	[ "$HOST" = amd64 ] || skip "the image is for this processor"
	local out; out=$(fails docker run --rm --network none foreign:1)
	has "$out" "exec /prog: exec format error"; has "$out" "/prog is a program for aarch64: running it takes qemu-user, registered with binfmt_misc"
	out=$(fails docker run --rm --network none own:1); has "$out" "exec /text: exec format error"; lacks "$out" binfmt
}

echo '{}' >"$ROOT/daemon.json"
run_tests
