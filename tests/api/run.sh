#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docker run and its options: what the process sees inside its VM
. "$(dirname "$0")/../lib.sh"
drun() { docker run --rm --network none "$@"; }

t_first_of_all_load() { image busybox; has "$(docker images)" busybox; }
t_run_prints_and_exits() {
	eq "$(drun busybox echo hello world)" "hello world"
	local rc=0; drun busybox sh -c 'exit 42' || rc=$?; eq "$rc" 42
	rc=0; drun busybox sh -c 'sh -c "kill -9 \$\$"; exit $?' || rc=$?; eq "$rc" 137
	rc=0; drun busybox true || rc=$?; eq "$rc" 0
}
t_stdout_and_stderr_are_apart() {
	drun busybox sh -c 'echo out; echo err >&2' >"$ROOT/o" 2>"$ROOT/e"
	eq "$(cat "$ROOT/o")" out; eq "$(cat "$ROOT/e")" err
}
t_stdin_reaches_the_process() {
	eq "$(echo from stdin | drun -i busybox cat)" "from stdin"
	eq "$(printf 'a\nb\nc\n' | drun -i busybox wc -l)" 3
}
t_tty_is_a_terminal() {
	local out; out=$(tty_docker "run --rm -t --network none busybox sh -c 'tty; stty size; echo \$TERM'" </dev/null)
	has "$out" "/dev/pts/0"; has "$out" xterm
}
t_missing_program_is_127() {
	local out rc=0; out=$(drun busybox nosuch 2>&1) || rc=$?
	eq "$rc" 127; has "$out" 'exec: "nosuch": executable file not found in $PATH'; lacks "$out" unknown
	rc=0; out=$(drun busybox /etc/passwd 2>&1) || rc=$?; eq "$rc" 126; has "$out" "permission denied"
	rc=0; out=$(drun busybox /nosuch/x 2>&1) || rc=$?; eq "$rc" 127; has "$out" "no such file or directory"
}
t_env_workdir_user_entrypoint() {
	has "$(drun -e A=1 -e B= busybox env)" "A=1"
	eq "$(drun -w /made/here busybox pwd)" /made/here
	eq "$(drun -u 1000:1001 busybox sh -c 'id -u; id -g' | xargs)" "1000 1001"
	eq "$(drun -u nobody busybox id -un)" nobody
	has "$(fails drun -u nosuch busybox true)" "Error response from daemon: unable to find user nosuch: no matching entries in passwd file"
	has "$(fails drun -u 0:nosuch busybox true)" "Error response from daemon: unable to find group nosuch: no matching entries in group file"
	has "$(fails drun -w /etc/passwd busybox true)" "Error response from daemon: Cannot mkdir: /etc/passwd is not a directory"
	eq "$(drun --entrypoint echo busybox a b)" "a b"
	eq "$(drun --group-add 77 busybox id -G)" "0 77"
}
t_an_exec_that_cannot_be_started_says_why() {
	local out rc
	docker run -d --rm --name box --network none busybox sleep 300 >/dev/null
	rc=0; out=$(docker exec -u nosuch box true 2>&1) || rc=$?; eq "$rc" 1; has "$out" "unable to find user nosuch: no matching entries in passwd file"
	rc=0; out=$(docker exec -w /nosuch box pwd 2>&1) || rc=$?; eq "$rc" 127
	has "$out" 'OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd ("/nosuch") set in config.json failed: no such file or directory'
	rc=0; docker exec -w /etc/passwd box pwd 2>/dev/null || rc=$?; eq "$rc" 127
	rc=0; out=$(docker exec box /etc 2>&1) || rc=$?; eq "$rc" 126; has "$out" 'exec: "/etc": permission denied'
	docker rm -f box >/dev/null
}
t_an_exec_has_no_descriptor_of_the_agent() {
	local n
	docker run -d --rm --name box --network none busybox sleep 300 >/dev/null
	for n in $(seq 3 15); do fails docker exec -w "/proc/self/fd/$n" box ls -a; done
	eq "$(docker exec box sh -c 'readlink /proc/self/fd/0')" /dev/null
	docker exec box sh -c 'rm /dev/null; mkfifo /dev/null'
	eq "$(docker exec -u 5 box echo ok)" ok
	docker rm -f box >/dev/null
}
t_hostname_and_files() {
	eq "$(drun --hostname box busybox hostname)" box
	has "$(drun --add-host a.example:10.1.2.3 busybox cat /etc/hosts)" "10.1.2.3"
	local id; id=$(docker create --network none busybox hostname); eq "$(docker start -a "$id")" "${id:0:12}"; docker rm "$id" >/dev/null
	eq "$(drun --uts host busybox hostname)" "$(hostname)"; eq "$(docker run --rm --network host busybox hostname)" "$(hostname)"
}
t_dangling_links_are_followed_inside_the_root() {
	mkdir -p "$ROOT/dangling/etc" "$ROOT/busybox"
	ln -s ../run/systemd/resolve/stub-resolv.conf "$ROOT/dangling/etc/resolv.conf"
	ln -s /../../../../var/made/hosts "$ROOT/dangling/etc/hosts"; ln -s first "$ROOT/dangling/etc/hostname"; ln -s /second "$ROOT/dangling/etc/first"
	ln -s var/../../volumes/data "$ROOT/dangling/data"; ln -s circle "$ROOT/dangling/circle"
	tar -C "$ROOT/busybox" -xf "$("$TESTS/images/make.sh" busybox)"
	cp "$ROOT/busybox/$(jq -r '.[0].Layers[0]' "$ROOT/busybox/manifest.json")" "$ROOT/dangling.tar"
	tar -C "$ROOT/dangling" --owner=0 --group=0 -rf "$ROOT/dangling.tar" .
	docker import "$ROOT/dangling.tar" dangling >/dev/null
	has "$(drun --dns 192.0.2.7 dangling cat /run/systemd/resolve/stub-resolv.conf)" "nameserver 192.0.2.7"
	has "$(drun dangling cat /var/made/hosts /etc/hosts)" localhost
	eq "$(drun --hostname box dangling sh -c 'cat /second; readlink /etc/hostname' | xargs)" "box first"
	has "$(drun --tmpfs /data/deep:size=1m dangling df -k /volumes/data/deep)" 1024
	eq "$(drun -w /data/here dangling pwd)" /volumes/data/here
	has "$(fails drun --tmpfs /circle dangling true)" "too many levels of symbolic links"
	docker rmi dangling >/dev/null
}
t_each_container_is_a_machine_of_its_own() {
	local a b
	a=$(drun busybox sh -c 'head -c 16 /dev/urandom | hexdump -e "16/1 \"%02x\""; cat /proc/sys/kernel/random/boot_id')
	b=$(drun busybox sh -c 'head -c 16 /dev/urandom | hexdump -e "16/1 \"%02x\""; cat /proc/sys/kernel/random/boot_id')
	[ "$a" != "$b" ]; lacks "$a" "$(tail -c 37 <<<"$b")"
	local t; t=$(drun busybox date +%s); [ $((t - $(date +%s))) -ge -5 ] && [ $((t - $(date +%s))) -le 5 ]
}
t_readonly_tmpfs_shm() {
	has "$(fails drun --read-only busybox touch /x)" "Read-only file system"
	eq "$(drun --read-only busybox sh -c 'for f in hosts hostname resolv.conf; do echo x 2>/dev/null >>/etc/$f && echo written; done; true')" ""
	eq "$(drun busybox sh -c 'for f in hosts hostname resolv.conf; do echo x >>/etc/$f && echo written; done' | wc -l)" 3
	eq "$(drun --read-only --tmpfs /t:size=1m busybox sh -c 'touch /t/x && echo ok')" ok
	has "$(drun --tmpfs /t:size=2m,mode=1770 busybox sh -c 'df -k /t; stat -c %a /t')" 2048
	has "$(drun --shm-size 32m busybox df -k /dev/shm)" 32768
	has "$(drun busybox df -k /dev/shm)" 65536
}
t_limits_hold() {
	has "$(drun -m 64m busybox cat /sys/fs/cgroup/memory.max)" 67108864
	eq "$(drun --pids-limit 20 busybox cat /sys/fs/cgroup/pids.max)" 20
	eq "$(drun --cpus 0.5 busybox cat /sys/fs/cgroup/cpu.max)" "50000 100000"
	eq "$(drun --ulimit nofile=100:200 busybox sh -c 'ulimit -n; ulimit -Hn' | xargs)" "100 200"
	eq "$(drun --sysctl kernel.msgmax=9000 busybox cat /proc/sys/kernel/msgmax)" 9000
	eq "$(drun --cpus 2 busybox nproc)" 2
	local rc=0; drun -m 32m busybox sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1' >/dev/null 2>&1 || rc=$?; eq "$rc" 137
	[ "$(drun -m 900m busybox awk '/MemTotal/ {print int($2/1024)}' /proc/meminfo)" -gt 850 ]
}
t_capabilities_are_dockers() {
	eq "$(drun busybox awk '/CapEff/ {print $2}' /proc/self/status)" 00000000a80425fb
	eq "$(drun -u 1000 busybox awk '/CapEff|CapInh|CapAmb/ {print $2}' /proc/self/status | sort -u)" 0000000000000000
	eq "$(drun --cap-drop ALL busybox awk '/CapBnd/ {print $2}' /proc/self/status)" 0000000000000000
	eq "$(drun --cap-drop ALL --cap-add NET_RAW busybox awk '/CapEff/ {print $2}' /proc/self/status)" 0000000000002000
	has "$(drun --privileged busybox awk '/CapEff/ {print $2}' /proc/self/status)" 1ffffffffff
	has "$(fails drun --cap-add NOSUCH busybox true)" 'unknown capability: "CAP_NOSUCH"'
}
t_isolation_inside_the_guest() {
	eq "$(drun busybox sh -c 'echo $$')" 1
	eq "$(drun busybox awk '/^Seccomp:/ {print $2}' /proc/self/status)" 2
	eq "$(drun --privileged busybox awk '/^Seccomp:/ {print $2}' /proc/self/status)" 0
	eq "$(drun --security-opt seccomp=unconfined busybox awk '/^Seccomp:/ {print $2}' /proc/self/status)" 0
	eq "$(drun --security-opt no-new-privileges busybox awk '/NoNewPrivs/ {print $2}' /proc/self/status)" 1
	fails drun busybox sh -c 'echo 1 >/proc/sys/kernel/msgmax' >/dev/null
	eq "$(drun busybox sh -c 'cat /proc/kcore | wc -c')" 0
	fails drun busybox mount -t tmpfs none /mnt >/dev/null
	fails drun busybox unshare -n true >/dev/null
	eq "$(drun busybox ls /sys/class/net)" lo
	lacks "$(drun busybox ps)" arca-agent
	drun --privileged busybox sh -c 'mkdir -p /mnt && mount -t tmpfs none /mnt'
}
t_init_reaps() {
	[ "$(drun --init busybox sh -c 'echo $$')" != 1 ]
	local rc=0; drun --init busybox sh -c 'exit 7' || rc=$?; eq "$rc" 7
}
t_detached_named_and_listed() {
	local id; id=$(docker run -d --network none --name sleeper -l a=b busybox sleep 300)
	eq "${#id}" 64
	has "$(docker ps)" sleeper; has "$(docker ps --filter label=a=b -q)" "${id:0:12}"
	has "$(fails docker run -d --network none --name sleeper busybox true)" 'Conflict. The container name "/sleeper" is already in use by container'
	eq "$(docker inspect -f '{{.State.Status}} {{.State.Running}}' sleeper)" "running true"
	docker rm -f sleeper >/dev/null
	fails docker inspect sleeper >/dev/null
}
t_a_gigabyte_passes_through_cat() {
	local pid rss0 rss1; pid=$(arcad_pid)
	rss0=$(awk '/VmRSS/ {print $2}' "/proc/$pid/status")
	head -c 1000000000 /dev/zero | tr '\0' 'x' | DOCKER_TIMEOUT=600 docker run --rm -i --network none --log-driver none busybox cat | sha256sum >"$ROOT/sum"
	eq "$(cut -d' ' -f1 "$ROOT/sum")" "$(head -c 1000000000 /dev/zero | tr '\0' 'x' | sha256sum | cut -d' ' -f1)"
	rss1=$(awk '/VmRSS/ {print $2}' "/proc/$pid/status")
	[ $((rss1 - rss0)) -lt 16384 ] || { echo "the daemon grew by $((rss1 - rss0)) KiB"; false; }
}
t_a_stalled_reader_stalls_only_its_writer() {
	docker run -d --network none --name talker busybox sh -c 'while :; do head -c 100000 /dev/zero; done' >/dev/null
	docker attach --no-stdin talker 2>/dev/null | (sleep 3; drun busybox echo fine >"$ROOT/fine"; head -c 1 >/dev/null) || true
	eq "$(cat "$ROOT/fine")" fine
	docker rm -f talker >/dev/null
}

echo '{}' >"$ROOT/daemon.json"
run_tests
