#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# links.sh - links of old on the default bridge; texts, variables and names are those of dockerd 28.5.2
. "$(dirname "$0")/../lib.sh"
echo '{"bip": "172.29.7.1/29"}' >"$ROOT/daemon.json"
post() { api POST "$1" -H 'Content-Type: application/json' -d "${2:-}"; }
code() { status POST "$1" -H 'Content-Type: application/json' -d "${2:-}"; }
refuses() { # LINKS STATUS MESSAGE [HOSTCONFIG-MEMBERS]
	local body="{\"Image\":\"busybox\",\"HostConfig\":{\"Links\":[$1]${4:-}}}"
	eq "$(post '/containers/create?name=refused' "$body" | jq -r .message)" "$3"; eq "$(code '/containers/create?name=refused' "$body")" "$2"; fails docker inspect refused >/dev/null
}
links() { docker inspect -f '{{json .HostConfig.Links}}' "$1"; }
names() { api GET '/containers/json?all=1' | jq -c "[.[] | select(.Names | index(\"/$1\")) | .Names[]]"; }
up() { docker run -d --name "$1" "${@:2}" busybox sleep 100000 >/dev/null; } # NAME [OPTION...]
ip_of() { docker inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' "$1"; }
env_of() { docker exec "$1" env | grep "^$2" | sort; }

t_first_whom_links_are_to() { image busybox; up xx --expose 3000-3002 --expose 3001/udp --expose 80 --expose 81 -e 'FOO=a b' -e HOME=/x; up yy --link xx:my-al --link xx; }
t_inspect_and_lists_show_them() {
	eq "$(links yy)" '["/xx:/yy/my-al","/xx:/yy/xx"]'; eq "$(links xx)" null; eq "$(names xx)" '["/xx","/yy/my-al","/yy/xx"]'; eq "$(names yy)" '["/yy"]'
	eq "$(docker ps --no-trunc --filter name=xx --format '{{.Names}}')" xx,yy/my-al,yy/xx
}
t_they_are_names() { local n; for n in yy/my-al /yy/xx; do eq "$(docker inspect -f '{{.Name}}' "$n")" /xx; eq "$(docker exec "$n" hostname)" "$(docker exec xx hostname)"; done; fails docker inspect yy/nope >/dev/null; fails docker inspect xx/my-al >/dev/null; }
t_the_environment_has_them() {
	local a p; a=$(ip_of xx); p="MY_AL_PORT"
	eq "$(env_of yy MY_AL)" "$(sort <<-END
		$p=tcp://$a:80
		$(for p in 80/tcp 81/tcp 3000/tcp 3001/tcp 3002/tcp 3001/udp; do n=${p%/*} o=${p#*/}; v=MY_AL_PORT_${n}_${o^^}; printf '%s\n' "$v=$o://$a:$n" "${v}_ADDR=$a" "${v}_PORT=$n" "${v}_PROTO=$o"; done)
		$(for p in 80-81 3000-3002; do n=${p%-*} m=${p#*-}; v=MY_AL_PORT_${n}_TCP; printf '%s\n' "${v}_START=tcp://$a:$n" "${v}_PORT_START=$n" "${v}_END=tcp://$a:$m" "${v}_PORT_END=$m"; done)
		MY_AL_NAME=/yy/my-al
		MY_AL_ENV_FOO=a b
	END
	)"
	eq "$(docker run --rm --link xx -e XX_NAME=mine busybox env | grep ^XX_NAME=)" XX_NAME=mine # what was asked for counts
}
t_hosts_has_them() {
	local id; id=$(docker inspect -f '{{.Config.Hostname}}' xx)
	eq "$(docker exec yy tail -n +7 /etc/hosts | sort)" "$(printf '%s\t%s\n' "$(ip_of xx)" "my-al $id xx" "$(ip_of xx)" "xx $id" "$(ip_of yy)" "$(docker inspect -f '{{.Config.Hostname}}' yy)" | sort)"
	docker exec yy ping -c 1 -W 5 my-al >/dev/null
}
t_hosts_follow_who_they_are_to() {
	up dd; docker run -d --name pp --link dd:al --link dd:other busybox sleep 1000 >/dev/null
	hosts() { docker exec pp tail -n +7 /etc/hosts | grep -v "$(docker inspect -f '{{.Config.Hostname}}' pp)\$"; }
	local id was now n; id=$(docker inspect -f '{{.Config.Hostname}}' dd); was=$(ip_of dd); eq "$(hosts)" "$was	al $id dd"$'\n'"$was	other $id dd"
	docker stop -t 0 dd >/dev/null
	up o1; up o2; for n in o1 o2; do [ "$(ip_of $n)" = "$was" ] || docker rm -f $n >/dev/null; done # one has its address now
	docker start dd >/dev/null; now=$(ip_of dd); [ "$now" != "$was" ]
	eq "$(hosts)" "$now	al $id dd"$'\n'"$now	other $id dd"; docker exec pp ping -c 1 -W 5 al >/dev/null
	[ -n "${TEST_HOST:-}" ] || { # dockerd takes both away
		docker rm --link pp/al >/dev/null; eq "$(hosts)" "$now	other $id dd"; eq "$(tail -n +7 "$(docker inspect -f '{{.HostsPath}}' pp)")" "$(docker exec pp tail -n +7 /etc/hosts)"
	}
	docker rm -f pp dd o1 o2 >/dev/null 2>&1
}
t_create_refuses_in_dockers_words() {
	local host="conflicting options: host type networking can't be used with links. This would result in undefined behavior"
	refuses '"nope:a"' 400 'could not get container for nope: No such container: nope'; refuses '":"' 400 'could not get container for : invalid name or ID supplied: ""'
	refuses '"xx:a:b"' 500 'bad format for links: xx:a:b'; refuses '""' 500 'empty string specified for links'
	refuses '"xx"' 400 "$host" ',"NetworkMode":"host"'; up hh --network host; refuses '"hh:a"' 400 "$host"; docker rm -f hh >/dev/null
}
t_of_one_alias_the_first_counts() {
	up zz; docker create --name cc --link xx:a --link zz:a --link "/zz:/other/b" busybox true >/dev/null; eq "$(links cc)" '["/xx:/cc/a","/zz:/cc/b"]'; docker rm -f cc zz >/dev/null
}
t_whom_they_are_to_must_run() {
	docker create --name st busybox true >/dev/null; docker create --name ll --link st:a busybox true >/dev/null
	eq "$(post /containers/ll/start | jq -r .message)" 'Cannot link to a non running container: /st AS /ll/a'; eq "$(code /containers/ll/start)" 500
	eq "$(docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}' ll)" 'created 128 Cannot link to a non running container: /st AS /ll/a'
	docker rm -f st >/dev/null; eq "$(post /containers/ll/start | jq -r .message)" 'Cannot link to a non running container: /st AS /ll/a'; eq "$(links ll)" '["/st:/ll/a"]'; docker rm -f ll >/dev/null
}
t_and_be_on_the_default_bridge() {
	docker network create nn >/dev/null; up nb --network nn; docker create --name ll --link nb:a busybox true >/dev/null
	eq "$(post /containers/ll/start | jq -r .message)" "container $(docker inspect -f '{{.Id}}' nb) not attached to default bridge network"; docker rm -f ll >/dev/null
	docker run -d --name ll --network nn --link nb:a busybox sleep 1000 >/dev/null; eq "$(links ll)" null; lacks "$(docker exec ll env)" A_NAME; docker exec ll ping -c 1 -W 5 a >/dev/null; docker rm -f ll nb >/dev/null; docker network rm nn >/dev/null
	docker run -d --name ll --network none --link xx:a busybox sleep 1000 >/dev/null; eq "$(links ll)" '["/xx:/ll/a"]'; lacks "$(docker exec ll env)" A_NAME; docker rm -f ll >/dev/null
}
t_an_exec_needs_them_as_well() { up gg; up ll --link gg; docker stop -t 0 gg >/dev/null; has "$(fails docker exec ll true)" 'Cannot link to a non running container: /gg AS /ll/gg'; docker rm -f ll gg >/dev/null; }
t_names_follow_a_rename() {
	docker rename xx x2; eq "$(links yy)" '["/x2:/yy/my-al","/x2:/yy/xx"]'; docker rename yy y2; eq "$(links y2)" '["/x2:/y2/my-al","/x2:/y2/xx"]'; eq "$(names x2)" '["/x2","/y2/my-al","/y2/xx"]'
	eq "$(docker exec y2 env | grep MY_AL_NAME)" MY_AL_NAME=/y2/my-al; docker rename x2 xx; docker rename y2 yy
}
t_a_new_daemon_knows_them() { [ -z "${NO_DAEMON:-}" ] || skip "needs a daemon of its own"; arcad_kill9; arcad_start; eq "$(links yy)" '["/xx:/yy/my-al","/xx:/yy/xx"]'; eq "$(names xx)" '["/xx","/yy/my-al","/yy/xx"]'; eq "$(docker exec yy env | grep MY_AL_NAME)" MY_AL_NAME=/yy/my-al; }
t_a_link_is_removed() {
	eq "$(api DELETE '/containers/yy?link=1' | jq -r .message)" 'Conflict, cannot remove the default link name of the container'; eq "$(status DELETE '/containers/yy?link=1')" 500; eq "$(status DELETE '/containers/yy/nope?link=1')" 404
	docker rm --link yy/my-al >/dev/null; eq "$(links yy)" '["/xx:/yy/xx"]'; eq "$(names xx)" '["/xx","/yy/xx"]'; lacks "$(docker exec yy env)" MY_AL_; eq "$(status DELETE '/containers/yy/my-al?link=1')" 404
	[ -n "${NO_DAEMON:-}" ] || { arcad_stop; arcad_start; eq "$(links yy)" '["/xx:/yy/xx"]'; }
}
t_its_names_go_with_who_has_it() { docker rm -f yy >/dev/null; eq "$(names xx)" '["/xx"]'; fails docker inspect yy/xx >/dev/null; docker rm -f xx >/dev/null; }
run_tests
