#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# one image: inspect and history, field by field and by platform; as dockerd answers the same requests
. "$(dirname "$0")/../lib.sh"
ARCAD_ARGS=(--vm-pool 0)
of() { api GET "/$1/images/$2"; }
platform() { of v1.51 "$1/$2?platform=$(urlencode "$3")"; }

t_first_inspect_has_every_field() {
	python3 "$TESTS/images/small.py" "$ROOT/small.tar" >"$ROOT/ids"; docker load -q -i "$ROOT/small.tar" >/dev/null
	eq "$(of v1.51 zz/one:1/json | jq -Sc 'del(.GraphDriver)')" '{"Architecture":"amd64","Author":"me","Comment":"note","Config":{"Cmd":["sh"],"Entrypoint":null,"Env":null,"Labels":{"k":"v","x":"1"},"OnBuild":null,"User":"","Volumes":null,"WorkingDir":""},"Created":"2024-01-02T00:00:00Z","DockerVersion":"","Id":"sha256:'"$(sed -n 1p "$ROOT/ids")"'","Metadata":{"LastTagTime":"0001-01-01T00:00:00Z"},"Os":"linux","Parent":"","RepoDigests":[],"RepoTags":["zz/one:1","zz/one:2","reg.example:5000/zz/one:1"],"RootFS":{"Layers":["sha256:1f5a3de023b76c367bea8c89d8a314d634854d51a1d0182660bd7855a81631ce","sha256:a0dedd8509fe72ee196ecc8d9d38fef7e3b378bbb09b75e84d95b8a0d75c8711"],"Type":"layers"},"Size":105000}'
	eq "$(of v1.51 zz/one:1/json | jq -Sc .GraphDriver)" '{"Data":null,"Name":"erofs-overlay"}'
	eq "$(of v1.51 zz/arm:1/json | jq -c '[.Architecture, .Variant, .Os]')" '["arm64","v8","linux"]'
}
t_config_is_what_the_image_says() {
	eq "$(of v1.51 zz/two:1/json | jq -Sc .Config)" '{"ArgsEscaped":true,"Cmd":null,"Entrypoint":["/base"],"Env":["A=b"],"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Interval":1000000000,"Test":["CMD","x"]},"Labels":{"k":"w"},"OnBuild":["RUN x"],"Shell":["/bin/sh","-c"],"StopSignal":"SIGINT","User":"u","Volumes":{"/v":{}},"WorkingDir":"/w"}'
	eq "$(of v1.43 zz/two:1/json | jq -c '[has("ContainerConfig"), .VirtualSize, .Config.Tty]')" '[true,107000,false]'
}
t_last_tag_time_is_that_of_a_tag_made_here() {
	docker tag zz/two:1 zz/two:9
	has "$(of v1.51 zz/two:1/json | jq -r .Metadata.LastTagTime)" "$(date -u +%Y-)"
	docker load -q -i "$ROOT/small.tar" >/dev/null # the names it brings do not count, nor take away
	has "$(of v1.51 zz/two:1/json | jq -r .Metadata.LastTagTime)" "$(date -u +%Y-)"
	docker rmi zz/two:9 >/dev/null
}
t_history_is_field_by_field() {
	eq "$(of v1.51 zz-three:1/history | jq -Sc '.[0]')" '{"Comment":"","Created":0,"CreatedBy":"three","Id":"sha256:'"$(sed -n 3p "$ROOT/ids")"'","Size":300,"Tags":["zz-three:1"]}'
	eq "$(of v1.51 zz-three:1/history | jq -c '.[1:] | map([.Id, .Created, .CreatedBy, .Comment, .Size, .Tags])')" '[["<missing>",0,"two","",5000,null],["<missing>",0,"empty","c",0,null],["<missing>",1704326400,"one","",100000,null]]'
}
t_a_platform_must_fit() {
	local w
	for w in json history; do
		eq "$(platform zz/one:1 $w '{"os":"linux","architecture":"arm64"}' | jq -r .message)" "image with reference zz/one:1 was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)"
		eq "$(status GET "/v1.51/images/zz/one:1/$w?platform=$(urlencode '{"os":"linux","architecture":"arm64"}')")" 404
		eq "$(platform zz/arm:1 $w '{"os":"linux","architecture":"arm64","variant":"v7"}' | jq -r .message)" "image with reference zz/arm:1 was found but its platform (linux/arm64/v8) does not match the specified platform (linux/arm64/v7)"
		eq "$(platform zz/arm:1 $w '{"os":"linux","architecture":"aarch64"}' | jq -r 'if type == "array" then "ok" else (.Id | "ok") end')" ok
		eq "$(platform zz/one:1 $w x | jq -r .message)" "failed to parse platform: invalid character 'x' looking for beginning of value"
		eq "$(platform zz/one:1 $w '{"os":"linux"}' | jq -r .message)" "both OS and Architecture must be provided"
		eq "$(status GET "/v1.47/images/zz/one:1/$w?platform=x")" 200 # older versions do not know it
	done
	eq "$(of v1.51 "zz/one:1/json?manifests=1&platform=$(urlencode '{"os":"linux","architecture":"amd64"}')" | jq -r .message)" "conflicting options: manifests and platform options cannot both be set"
}

echo '{}' >"$ROOT/daemon.json"
run_tests
