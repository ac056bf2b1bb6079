#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The layer law: base < rpc, http, store, registry, forward < image, vm, net < core < api < daemon; agent sees only base
# and rpc. net sees of forward its protocol; forward is a program of its own, on base alone.
cd "$(dirname "$0")/../.." || exit 1
declare -A sees=(
	[base]="base" [rpc]="base rpc" [http]="base http" [store]="base store" [registry]="base registry"
	[image]="base store registry image" [vm]="base rpc vm" [net]="base rpc store forward net"
	[core]="base rpc store registry image vm net core" [api]="base http registry image core vm api"
	[daemon]="base http store registry image vm net core api daemon" [agent]="base rpc agent" [forward]="base forward"
)
bad=0
for dir in src/*/; do
	layer=$(basename "$dir")
	while IFS=: read -r file line include; do
		to=$(sed 's/.*"\([a-z]*\)\/.*/\1/' <<<"$include")
		case " ${sees[$layer]} " in *" $to "*) ;; *) echo "# $file:$line: $layer must not see $to"; bad=1 ;; esac
	done < <(grep -rnoE '#include "[a-z]+/[^"]*"' "$dir" --include='*.[ch]')
	if grep -rnE '#include "[^/"]*"' "$dir" --include='*.[ch]' | grep -v '\.pb-c\.h'; then bad=1; echo "# includes name their folder"; fi
done
[ $bad = 0 ] && echo "ok 1 - includes obey the layer law" || echo "not ok 1 - includes obey the layer law"
echo 1..1
