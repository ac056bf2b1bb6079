#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# networks.sh - networks as the CLI and the raw socket see them; texts and JSON are those of dockerd 28.5.2
. "$(dirname "$0")/../lib.sh"

post() { api POST "$1" -H 'Content-Type: application/json' -d "$2"; }
code() { status POST "$1" -H 'Content-Type: application/json' -d "$2"; }
says() { eq "$(post "$1" "$2" | jq -r .message)" "$3"; } # PATH BODY MESSAGE
create() { post /networks/create "$1" | jq -re .Id; }
net() { docker network inspect -f "$2" "$1"; }
nets() { docker inspect -f '{{json .NetworkSettings.Networks}}' "$1"; }
ls_names() { api GET "/networks?filters=$(jq -rn --arg f "$1" '$f|@uri')" | jq -r '[.[].Name]|sort|join(" ")'; }
clean() { docker ps -aq | xargs -r docker rm -f >/dev/null; docker network prune -f >/dev/null; }

t_the_three_that_are_always_there() {
	eq "$(docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}' | sort | tr '\n' ';')" 'bridge bridge local;host host local;none null local;'
	eq "$(net bridge '{{json .IPAM}}')" '{"Driver":"default","Options":null,"Config":[{"Subnet":"172.17.0.0/16","Gateway":"172.17.0.1"}]}'
	eq "$(net bridge '{{json .Options}}')" '{"com.docker.network.bridge.default_bridge":"true","com.docker.network.bridge.enable_icc":"true","com.docker.network.bridge.enable_ip_masquerade":"true","com.docker.network.bridge.host_binding_ipv4":"0.0.0.0","com.docker.network.bridge.name":"docker0","com.docker.network.driver.mtu":"1500"}'
	eq "$(net none '{{json .IPAM}}')" '{"Driver":"default","Options":null,"Config":null}'
	local n; for n in bridge host none; do
		eq "$(api DELETE /networks/$n)" "{\"message\":\"$n is a pre-defined network and cannot be removed\"}"; eq "$(status DELETE /networks/$n)" 403
		says /networks/create "{\"Name\":\"$n\"}" "operation is not permitted on predefined $n network "
	done
}
t_inspect_has_every_field() {
	local id; id=$(create '{"Name":"full","Internal":true,"Attachable":true,"EnableIPv6":true,"Labels":{"a":"b"},"Options":{"foo":"bar","com.docker.network.driver.mtu":"1300"},
		"IPAM":{"Config":[{"Subnet":"fd00:5::/64"},{"Subnet":"10.55.0.0/16","IPRange":"10.55.4.0/24","Gateway":"10.55.0.9","AuxiliaryAddresses":{"r":"10.55.4.7"}}]}}')
	eq "$(api GET /networks/full | jq -c 'del(.Created)')" "{\"Name\":\"full\",\"Id\":\"$id\",\"Scope\":\"local\",\"Driver\":\"bridge\",\"EnableIPv4\":true,\"EnableIPv6\":true,\"IPAM\":{\"Driver\":\"default\",\"Options\":null,\"Config\":[{\"Subnet\":\"10.55.0.0/16\",\"IPRange\":\"10.55.4.0/24\",\"Gateway\":\"10.55.0.9\",\"AuxiliaryAddresses\":{\"r\":\"10.55.4.7\"}},{\"Subnet\":\"fd00:5::/64\"}]},\"Internal\":true,\"Attachable\":true,\"Ingress\":false,\"ConfigFrom\":{\"Network\":\"\"},\"ConfigOnly\":false,\"Containers\":{},\"Options\":{\"foo\":\"bar\",\"com.docker.network.driver.mtu\":\"1300\"},\"Labels\":{\"a\":\"b\"}}"
	eq "$(api GET "/networks/$id" | jq -r .Name)" full; eq "$(api GET "/networks/${id:0:12}" | jq -r .Name)" full
	eq "$(status GET '/networks/full?scope=swarm')" 404; eq "$(status GET '/networks/full?scope=local&verbose=true')" 200
	eq "$(api GET '/networks/full?verbose=x' | jq -r .message)" 'invalid value for verbose: x: strconv.ParseBool: parsing "x": invalid syntax'
	eq "$(docker network rm full)" full; eq "$(api GET /networks/full)" '{"message":"network full not found"}'
}
t_create_refuses_in_dockers_words() {
	says /networks/create '{}' 'invalid name: name is empty'
	create '{"Name":"dup","IPAM":{"Config":[{"Subnet":"10.57.0.0/16"}]}}' >/dev/null
	says /networks/create '{"Name":"dup"}' 'network with name dup already exists'; eq "$(code /networks/create '{"Name":"dup"}')" 409
	says /networks/create '{"Name":"x","Driver":"bogus"}' 'plugin "bogus" not found'; eq "$(code /networks/create '{"Name":"x","Driver":"bogus"}')" 404
	says /networks/create '{"Name":"x","Driver":"host"}' 'only one instance of "host" network is allowed'
	has "$(post /networks/create '{"Name":"x","Driver":"overlay"}')" 'This node is not a swarm manager.'
	says /networks/create '{"Name":"x","Scope":"swarm"}' 'cannot create a swarm scoped network when swarm is not active'
	says /networks/create '{"Name":"x","Ingress":true}' 'Ingress network can only be global scope network'
	says /networks/create '{"Name":"x","ConfigFrom":{"Network":"nope"}}' 'configuration network "nope" does not exist'
	says /networks/create '{"Name":"x","EnableIPv4":false}' 'IPv4 or IPv6 must be enabled'
	says /networks/create '{"Name":"x","Options":{"com.docker.network.driver.mtu":"abc"}}' 'failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing "abc": invalid syntax)'
	says /networks/create '{"Name":"x","Options":{"com.docker.network.bridge.enable_icc":"x"}}' 'failed to parse com.docker.network.bridge.enable_icc value: x (strconv.ParseBool: parsing "x": invalid syntax)'
	says /networks/create '{"Name":"x","Options":{"com.docker.network.bridge.host_binding_ipv4":"x"}}' 'failed to parse com.docker.network.bridge.host_binding_ipv4 value: x (nil ip)'
	says /networks/create '{"Name":"x","Options":{"com.docker.network.enable_ipv6":"x"}}' 'driver-opt "com.docker.network.enable_ipv6" is not a valid bool'
	says /networks/create '{"Name":1}' 'invalid JSON: json: cannot unmarshal number 1 into Go struct field CreateRequest.Name of type string'
	eq "$(code /networks/create '{"Name":"x","IPAM":[]}')" 400; eq "$(code /networks/create '{"Name":"x"')" 400; eq "$(code /networks/create '[]')" 400
	eq "$(status POST /networks/create -H 'Content-Type: text/plain' -d '{"Name":"x"}')" 400
	eq "$(docker network ls -q --filter name=^x$)" ''; docker network rm dup >/dev/null
}
refuses() { says /networks/create "{\"Name\":\"x\",\"EnableIPv6\":true,\"IPAM\":{\"Config\":[$1]}}" "$2"; } # IPAM-CONFIG MESSAGE
t_ipam_refuses_in_dockers_words() {
	local in='invalid network config:' pool='invalid pool request: Pool overlaps with other one on this address space'
	refuses '{"Subnet":"10.55.1.1/16"}' "$in"$'\n''invalid subnet 10.55.1.1/16: it should be 10.55.0.0/16'
	refuses '{"Subnet":""}' "$in"$'\n''invalid subnet : invalid CIDR block notation'
	refuses '{"Subnet":"10.055.0.0/16"}' "$in"$'\n''invalid subnet 10.055.0.0/16: invalid CIDR block notation'
	refuses '{"Subnet":"10.55.0.0/16","IPRange":"10.56.4.0/24"}' "$in"$'\n'"invalid ip-range 10.56.4.0/24: parent subnet 10.55.0.0/16 doesn't contain ip-range"
	refuses '{"Subnet":"10.55.0.0/16","IPRange":"10.0.0.0/8"}' "$in"$'\n''invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.55.0.0/16'
	refuses '{"Subnet":"10.55.0.0/16","Gateway":"10.56.0.9"}' "$in"$'\n'"invalid gateway 10.56.0.9: parent subnet 10.55.0.0/16 doesn't contain this address"
	refuses '{"Subnet":"10.55.0.0/16","Gateway":"fd00::1"}' "$in"$'\n''invalid gateway fd00::1: parent subnet is an IPv4 block'
	refuses '{"Subnet":"10.55.0.0/16","Gateway":"10.55.0.0"}' 'failed to allocate gateway (10.55.0.0): Address already in use'
	refuses '{"Subnet":"10.55.0.0/16","Gateway":"10.55.255.255"}' 'failed to allocate gateway (10.55.255.255): Address already in use'
	refuses '{"Subnet":"10.55.0.0/16","AuxiliaryAddresses":{"a":"10.55.0.1"}}' 'failed to allocate secondary ip address (a:10.55.0.1): Address already in use'
	refuses '{"Subnet":"10.55.0.0/16","AuxiliaryAddresses":{"a":""}}' 'non parsable secondary ip address (a:) passed for network x'
	refuses '{"Subnet":"::1/64","IPRange":"x","Gateway":"y"},{"Subnet":"z"}' "$in"$'\n''* invalid subnet ::1/64: it should be ::/64'$'\n''* invalid ip-range x: invalid CIDR block notation'$'\n''* invalid gateway y: invalid address'$'\n''* invalid subnet z: invalid CIDR block notation'
	refuses '{"Subnet":"10.55.0.0/16"},{"Subnet":"10.56.0.0/16"}' "bridge driver doesn't support multiple subnets"
	refuses '{"Subnet":"172.17.5.0/24"}' "$pool"; refuses '{"Subnet":"0.0.0.0/0"}' "$pool"; refuses '{"Subnet":"198.18.3.0/24"}' "$pool"
	refuses '{"Subnet":"fd00:5::/128"}' 'failed to allocate gateway (): no available addresses on this pool'
	create '{"Name":"x","IPAM":{"Config":[{"Subnet":"10.55.0.0/16"}]}}' >/dev/null; docker network rm x >/dev/null # nothing is left of the others
}
t_empty_strings_are_unset() { # as Compose sends them
	create '{"Name":"e","Driver":"","Scope":"","IPAM":{"Driver":"","Config":[{"Subnet":"10.55.0.0/16","IPRange":"","Gateway":""}]},"ConfigFrom":{"Network":""}}' >/dev/null
	eq "$(net e '{{.Driver}} {{.Scope}} {{json .IPAM.Config}}')" 'bridge local [{"Subnet":"10.55.0.0/16"}]'; docker network rm e >/dev/null
}
t_odd_names() { # dockerd takes them
	local n; for n in x/y 'a b' .x -x container:x; do eq "$(docker network create -- "$n" | wc -c)" 65; eq "$(docker network inspect -f '{{.Name}}' -- "$n")" "$n"; eq "$(docker network rm -- "$n")" "$n"; done
}
t_filters() {
	local id; id=$(create '{"Name":"fa","Labels":{"x":"1"}}'); create '{"Name":"fb","Driver":"vmnet"}' >/dev/null
	eq "$(ls_names '{"driver":["bridge"]}')" 'bridge fa'; eq "$(ls_names '{"driver":{"vmnet":true}}')" fb
	eq "$(ls_names "{\"id\":[\"${id:5:10}\"]}")" fa; eq "$(ls_names '{"label":["x=1"]}')" fa; eq "$(ls_names '{"label":["x=2"]}')" ''; eq "$(ls_names '{"label":["x","y"]}')" ''
	eq "$(ls_names '{"name":["^f"]}')" 'fa fb'; eq "$(ls_names '{"scope":["local"]}')" 'bridge fa fb host none'; eq "$(ls_names '{"scope":["swarm"]}')" ''
	eq "$(ls_names '{"type":["custom"]}')" 'fa fb'; eq "$(ls_names '{"type":["builtin"]}')" 'bridge host none'; eq "$(ls_names '{"dangling":["true"]}')" 'fa fb'; eq "$(ls_names '{"dangling":["0"]}')" 'bridge host none'
	eq "$(api GET '/networks?filters=%7B%22type%22:%5B%22x%22%5D%7D')" "{\"message\":\"invalid filter: 'type'='x'\"}"
	eq "$(api GET '/networks?filters=%7B%22foo%22:%5B%22x%22%5D%7D')" "{\"message\":\"invalid filter 'foo'\"}"
	eq "$(api GET '/networks?filters=%7B%22dangling%22:%5B%22x%22%5D%7D' | jq -r .message)" "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")"
	clean
}
t_prune_takes_what_is_unused() {
	create '{"Name":"pa","Labels":{"keep":"1"}}' >/dev/null; create '{"Name":"pb"}' >/dev/null
	eq "$(post '/networks/prune?filters=%7B%22label%22:%5B%22nosuch%22%5D%7D' '')" '{"NetworksDeleted":null}'
	eq "$(post '/networks/prune?filters=%7B%22until%22:%5B%221h%22%5D%7D' '')" '{"NetworksDeleted":null}'
	says '/networks/prune?filters=%7B%22until%22:%5B%221h%22,%222h%22%5D%7D' '' 'more than one until filter specified'
	eq "$(post '/networks/prune?filters=%7B%22label!%22:%5B%22keep%22%5D%7D' '')" '{"NetworksDeleted":["pb"]}'
	has "$(docker system prune -f)" pa; eq "$(ls_names '{"type":["custom"]}')" ''
}
t_ambiguous_prefixes() {
	local i p ids; for i in $(seq 20); do create "{\"Name\":\"am$i\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.72.$i.0/24\"}]}}" >/dev/null; done
	ids=$(docker network ls -q --no-trunc); p=$(cut -c1 <<<"$ids" | sort | uniq -d | head -1); i=$(grep -c "^$p" <<<"$ids")
	eq "$(api GET "/networks/$p" | jq -r .message)" "$i matches found based on ID prefix: network $p is ambiguous"
	eq "$(api DELETE "/networks/$p" | jq -r .message)" "network $p is ambiguous ($i matches found based on ID prefix)"; clean
}
t_created_containers_show_what_they_asked_for() {
	image busybox; create '{"Name":"na","IPAM":{"Config":[{"Subnet":"10.81.0.0/24"}]}}' >/dev/null; create '{"Name":"nb"}' >/dev/null
	post '/containers/create?name=cc' '{"Image":"busybox","HostConfig":{"NetworkMode":"na"},"NetworkingConfig":{"EndpointsConfig":{"na":{"IPAMConfig":{"IPv4Address":"10.81.0.77"},"Aliases":["al"],"Links":["c1:xx"],"DriverOpts":{"a":"b"},"GwPriority":5,"MacAddress":"02:00:00:00:00:07"},"nb":{}}}}' >/dev/null
	local nothing='"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null'
	eq "$(nets cc)" "{\"na\":{\"IPAMConfig\":{\"IPv4Address\":\"10.81.0.77\"},\"Links\":[\"c1:xx\"],\"Aliases\":[\"al\"],\"DriverOpts\":{\"a\":\"b\"},\"GwPriority\":5,\"NetworkID\":\"\",\"EndpointID\":\"\",\"Gateway\":\"\",\"IPAddress\":\"\",\"MacAddress\":\"02:00:00:00:00:07\",\"IPPrefixLen\":0,\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,\"DNSNames\":null},\"nb\":{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"DriverOpts\":null,\"GwPriority\":0,\"NetworkID\":\"\",\"EndpointID\":\"\",\"Gateway\":\"\",\"IPAddress\":\"\",\"MacAddress\":\"\",\"IPPrefixLen\":0,\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,\"DNSNames\":null}}" ||
		eq "$(api GET /containers/cc/json | jq -c .NetworkSettings.Networks.nb)" "{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"MacAddress\":\"\",\"DriverOpts\":null,\"GwPriority\":0,$nothing}"
	eq "$(api GET /containers/cc/json | jq -c '.NetworkSettings|[.SandboxID,.SandboxKey,.IPAddress,.MacAddress,.Ports]')" '["","","","",{}]'
	eq "$(docker ps -a --filter network=nb --format '{{.Names}} {{.Networks}}' | sed s/nb,na/na,nb/)" 'cc na,nb' # a map of the CLI's: in any order
	post '/containers/create?name=mm' '{"Image":"busybox","MacAddress":"02:00:00:00:00:09"}' | jq -r '.Warnings[0]' | grep -q '^The container-wide MacAddress field is now deprecated.'
	eq "$(docker inspect -f '{{.NetworkSettings.MacAddress}} {{.NetworkSettings.Networks.bridge.MacAddress}}' mm)" '02:00:00:00:00:09 02:00:00:00:00:09'
	eq "$(post '/containers/create' '{"Image":"busybox","NetworkDisabled":true}' | jq -r .Id | xargs docker inspect -f '{{json .NetworkSettings.Networks}}')" '{}'; clean
}
ep() { says /containers/create "{\"Image\":\"busybox\",\"HostConfig\":{\"NetworkMode\":\"$1\"},\"NetworkingConfig\":{\"EndpointsConfig\":{\"$1\":$2}}}" "invalid config for network $1: $3"; }
t_endpoints_are_checked_at_create() {
	create '{"Name":"na","IPAM":{"Config":[{"Subnet":"10.81.0.0/24"}]}}' >/dev/null; local in=$'invalid endpoint settings:\n'
	ep na '{"IPAMConfig":{"IPv4Address":"x"}}' "$in"$'* invalid IPv4 address: x\n* no configured subnet or ip-range contain the IP address x'
	ep na '{"IPAMConfig":{"IPv4Address":"10.99.1.1"}}' "$in"'no configured subnet or ip-range contain the IP address 10.99.1.1'
	ep bridge '{"IPAMConfig":{"IPv4Address":"172.17.0.9"}}' "$in"$'* user specified IP address is supported on user defined networks only\n* user specified IP address is supported only when connecting to networks with user configured subnets'
	ep bridge '{"Aliases":["x"]}' "$in"'network-scoped alias is supported only for containers in user defined networks'
	ep na '{"IPAMConfig":{"LinkLocalIPs":["x"]}}' "$in"'invalid link-local IP address: x'
	ep na '{"MacAddress":"x"}' 'invalid MAC address x'; ep na null 'EndpointsConfig is nil'
	eq "$(docker ps -aq)" ''; clean
}
t_default_routes_follow_the_networks() { # of one that runs: priority, then name; one with both families before all others
	image busybox; docker network create --subnet 10.81.0.0/24 na >/dev/null; docker network create --subnet 10.82.0.0/24 nb >/dev/null
	docker network create --subnet 10.83.0.0/24 --ipv6 --subnet fd00:83::/64 nc >/dev/null; docker network create --ipv4=false --ipv6 --subnet fd00:84::/64 nd >/dev/null
	docker network create --internal --subnet 10.85.0.0/24 ne >/dev/null
	docker run -d --name cc --network name=nb,gw-priority=3 busybox sleep 300 >/dev/null
	routes() { echo $(docker exec cc sh -c 'ip route; ip -6 route' | sed -n 's/^default via \([^ ]*\) .*/\1/p'); }
	goes() { docker network "$@" cc; }
	eq "$(routes)" '10.82.0.1'; goes connect na; eq "$(routes)" '10.82.0.1'; goes connect nd; eq "$(routes)" '10.82.0.1 fd00:84::1'
	goes connect nc; eq "$(routes)" '10.83.0.1 fd00:83::1'; goes connect ne; goes disconnect nc; eq "$(routes)" '10.82.0.1 fd00:84::1'
	goes disconnect nb; eq "$(routes)" '10.81.0.1 fd00:84::1'; goes connect nb; eq "$(routes)" '10.81.0.1 fd00:84::1'; goes disconnect nb
	goes connect --gw-priority 1 nb; eq "$(routes)" '10.82.0.1 fd00:84::1'; goes disconnect nd; eq "$(routes)" '10.82.0.1'; goes disconnect nb; eq "$(routes)" '10.81.0.1'
	goes disconnect na; eq "$(routes)" ''; goes connect na; eq "$(routes)" '10.81.0.1'; clean
}
t_connect_and_disconnect_change_what_is_not_running() {
	create '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.82.0.0/24"}]}}' >/dev/null; docker create --name cc busybox true >/dev/null; docker create --name nn --network none busybox true >/dev/null
	local C=/networks/nb/connect D=/networks/nb/disconnect
	says $C '{}' 'invalid name or ID supplied: ""'; says $C '{"Container":"nope"}' 'No such container: nope'; says $C '{"Container":1}' 'invalid JSON: json: cannot unmarshal number 1 into Go struct field ConnectOptions.Container of type string'
	says /networks/nope/connect '{"Container":"cc"}' 'network nope not found'
	says $C '{"Container":"cc","EndpointConfig":{"MacAddress":"q"}}' 'invalid MAC address q'
	says $C '{"Container":"nn"}' 'container cannot be connected to multiple networks with one of the networks in private (none) mode'
	says /networks/host/connect '{"Container":"cc"}' 'cannot connect container to host network - container must be created in host network mode'
	eq "$(code $C '{"Container":"cc","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.82.0.50"},"Aliases":["foo"],"GwPriority":3}}')" 200; eq "$(code $C '{"Container":"cc"}')" 200
	eq "$(api GET /containers/cc/json | jq -c ".NetworkSettings.Networks|[keys,.nb.IPAMConfig,.nb.Aliases,.nb.GwPriority,.nb.DNSNames]")" "[[\"bridge\",\"nb\"],{\"IPv4Address\":\"10.82.0.50\"},[\"foo\"],3,[\"cc\",\"foo\",\"$(docker ps -aq --filter name=^cc$)\"]]"
	eq "$(net nb '{{json .Containers}}')" '{}'
	docker rename cc dd; eq "$(docker inspect -f '{{index .NetworkSettings.Networks.nb.DNSNames 0}}' dd)" dd
	eq "$(code $D '{"Container":"dd"}')" 200; says $D '{"Container":"dd"}' "container $(docker ps -aq --no-trunc --filter name=^dd$) is not connected to the network nb"; eq "$(code $D '{"Container":"dd"}')" 500
	eq "$(code /networks/bridge/disconnect '{"Container":"dd"}')" 200; eq "$(nets dd)" '{}'; says $D '{"Container":"nope","Force":true}' 'endpoint nope not found'; clean
}
t_a_running_container_has_addresses() {
	create '{"Name":"na","EnableIPv6":true,"IPAM":{"Config":[{"Subnet":"10.81.0.0/24"},{"Subnet":"fd00:81::/64"}]}}' >/dev/null
	docker run -d --name rr --network na --network-alias al busybox sleep 300 >/dev/null
	eq "$(api GET "/events?since=1&until=$(date +%s.%N)&filters=$(urlencode '{"type":["network"],"event":["connect"]}')" | jq -r '"\(.Action) \(.Actor.Attributes.name)"' | tail -1)" 'connect na'
	eq "$(api GET /containers/rr/json | jq -c '.NetworkSettings.Networks.na|[.Gateway,.IPAddress,.IPPrefixLen,.IPv6Gateway,.GlobalIPv6Address,.GlobalIPv6PrefixLen]')" '["10.81.0.1","10.81.0.2",24,"fd00:81::1","fd00:81::2",64]'
	api GET /containers/rr/json | jq -e '.NetworkSettings|(.SandboxID|length==64) and (.SandboxKey|length>0) and .IPAddress=="" and (.Networks.na|(.MacAddress|test("^[0-9a-f][26ae](:[0-9a-f]{2}){5}$")) and (.EndpointID|length==64) and .DNSNames[0:2]==["rr","al"])' >/dev/null
	eq "$(net na '{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.IPv6Address}}{{end}}')" 'rr 10.81.0.2/24 fd00:81::2/64'
	eq "$(api GET /containers/json | jq -c '.[0].NetworkSettings.Networks.na|[.IPAddress,.Aliases,.DNSNames]')" '["10.81.0.2",null,null]'; eq "$(docker ps -q --filter network=na | wc -l)" 1
	eq "$(api DELETE /networks/na | sed 's/id:\\"[0-9a-f]\{12\}/id:\\"ID/')" '{"message":"error while removing network: network na has active endpoints (name:\"rr\" id:\"ID\")"}'; eq "$(status DELETE /networks/na)" 403
	arcad_kill9; arcad_start; eq "$(docker inspect -f '{{.NetworkSettings.Networks.na.IPAddress}}' rr)" 10.81.0.2
	docker kill rr >/dev/null; docker wait rr >/dev/null
	eq "$(api GET /containers/rr/json | jq -c '.NetworkSettings|[.SandboxID,.Networks.na.IPAddress,.Networks.na.MacAddress,.Networks.na.EndpointID,(.Networks.na.NetworkID|length),(.Networks.na.DNSNames|length)]')" '["","","","",64,3]'
	docker run -d --name ss --network na busybox sleep 300 >/dev/null; eq "$(docker inspect -f '{{.NetworkSettings.Networks.na.IPAddress}}' ss)" 10.81.0.3
	docker start rr >/dev/null; eq "$(docker inspect -f '{{.NetworkSettings.Networks.na.IPAddress}}' rr)" 10.81.0.2
	says /networks/na/connect '{"Container":"ss"}' 'endpoint with name ss already exists in network na'
	has "$(fails docker run --rm --network na --ip 10.81.0.2 busybox true)" 'failed to set up container networking: Address already in use'
	has "$(fails docker run --rm --network nope busybox true)" 'failed to set up container networking: network nope not found'
	clean
}
t_two_hundred_at_once() { # no subnet twice, and none lost
	local i; for i in $(seq 200); do (post /networks/create "{\"Name\":\"p$i\"}" >/dev/null) & [ $((i % 40)) != 0 ] || wait; done; wait
	eq "$(ls_names '{"type":["custom"]}' | wc -w)" 200
	eq "$(api GET /networks | jq -r '.[]|select(.Name|startswith("p")).IPAM.Config[0].Subnet' | sort | uniq | wc -l)" 200; clean
}
t_one_name_at_once() {
	local i; for i in $(seq 50); do (code /networks/create '{"Name":"same"}' >"$ROOT/same.$i") & done; wait
	eq "$(cat "$ROOT"/same.* | fold -w3 | sort | uniq -c | sed 's/^ *//' | tr '\n' ';')" '1 201;49 409;'; clean
}
t_five_hundred_networks() {
	local i; for i in $(seq 0 499); do echo "next"; echo "url = http://localhost/networks/create"; echo "unix-socket = $SOCK"; echo 'header = "Content-Type: application/json"'; echo "data = \"{\\\"Name\\\":\\\"m$i\\\",\\\"IPAM\\\":{\\\"Config\\\":[{\\\"Subnet\\\":\\\"10.$((i / 250)).$((i % 250)).0/24\\\"}]}}\""; echo 'output = /dev/null'; done | tail -n +2 >"$ROOT/curl"
	curl -sS -K "$ROOT/curl"; eq "$(api GET /networks | jq length)" 503
	docker network rm m250 >/dev/null; docker network create m250 >/dev/null; eq "$(post /networks/prune '' | jq '.NetworksDeleted|length')" 500
}
t_default_address_pools() {
	arcad_stop; ARCAD_ARGS=(--default-address-pool base=10.200.0.0/23,size=24 --mtu 1400 --bip 10.201.0.5/24); arcad_start
	eq "$(net bridge '{{json .IPAM.Config}} {{index .Options "com.docker.network.driver.mtu"}}')" '[{"Subnet":"10.201.0.0/24","Gateway":"10.201.0.5"}] 1400'
	eq "$(docker info -f '{{json .DefaultAddressPools}}')" '[{"Base":"10.200.0.0/23","Size":24}]'
	docker network create a >/dev/null; docker network create b >/dev/null; eq "$(net b '{{(index .IPAM.Config 0).Subnet}}')" 10.200.1.0/24
	has "$(fails docker network create c)" 'all predefined address pools have been fully subnetted'; docker network create --ipv4=false --ipv6 v6 >/dev/null; clean
	arcad_stop; ARCAD_ARGS=(); echo '{"default-address-pools":[{"base":"10.202.0.0/16","size":28}]}' >"$ROOT/daemon.json"; arcad_start
	docker network create a >/dev/null; eq "$(net a '{{(index .IPAM.Config 0).Subnet}}')" 10.202.0.16/28; docker network rm a >/dev/null
	arcad_stop; echo '{}' >"$ROOT/daemon.json"; arcad_start; eq "$(net bridge '{{(index .IPAM.Config 0).Subnet}}')" 10.202.0.0/28 # nobody asked for another one
}
echo '{}' >"$ROOT/daemon.json"
run_tests
