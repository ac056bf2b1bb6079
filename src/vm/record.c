/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - what a later daemon needs to find a VM again: run_dir/<id>/vm.json
 *
 * Not synced: a crash of the host ends the VM as well. Written before the VM gets to know its
 * token, so a VM that answers to a token has it on file.
 */
#include "vm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "vm/qemu.h"

#define RECORD_MAX 4096

/**
 * sandbox_record_write() - Keep the record of a VM that was just spawned
 * @sb: Sandbox with its qemu and token set
 *
 * Return: 0, or negative errno
 */
int sandbox_record_write(const struct sandbox *sb)
{
	_cleanup_free_ char *path = str_format("%s/" SANDBOX_VM_JSON, sb->dir), *text = NULL;
	_cleanup_close_ int fd = -EBADF;
	char token[2 * RPC_TOKEN_LEN + 1];
	json_t *o;

	str_hex(sb->record.token, RPC_TOKEN_LEN, token);
	o = json_pack("{s:i,s:I,s:s,s:i}", "pid", (int)sb->record.pid, "start_ticks",
		      (json_int_t)sb->record.start_ticks, "token", token, "nic",
		      (int)sb->record.nic);
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!path || !text)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fs_write_all(fd, text, strlen(text));
}

/**
 * sandbox_record_read() - Read it again
 * @dir:	Sandbox's folder
 * @ret_record: The record; set on success
 *
 * Return: 0, -ENOENT if there is none, -EBADMSG if it is not whole, or negative errno
 */
int sandbox_record_read(const char *dir, struct sandbox_record *ret_record)
{
	_cleanup_free_ char *path = str_format("%s/" SANDBOX_VM_JSON, dir), *text = NULL;
	struct sandbox_record record = {};
	json_int_t start_ticks;
	const char *token;
	json_t *o;
	int pid, nic = 0, r;

	if (!path)
		return -ENOMEM;
	r = fs_read_file(path, RECORD_MAX, &text, NULL);
	if (r < 0)
		return r;
	o = json_loads(text, 0, NULL);
	if (json_unpack(o, "{s:i,s:I,s:s,s?i}", "pid", &pid, "start_ticks", &start_ticks, "token",
			&token, "nic", &nic) < 0 ||
	    nic < 0 || pid <= 1 || start_ticks <= 0 || strlen(token) != 2 * (size_t)RPC_TOKEN_LEN ||
	    str_unhex(token, record.token, RPC_TOKEN_LEN) < 0)
		r = -EBADMSG;
	json_decref(o);
	if (r < 0)
		return r;
	record.pid = pid;
	record.nic = (unsigned int)nic;
	record.start_ticks = (uint64_t)start_ticks;
	*ret_record = record;
	return 0;
}

/**
 * sandbox_is_alive() - Whether the VM that a folder belongs to still runs
 * @dir: Sandbox's folder
 *
 * Return: the answer; false if there is no whole record
 */
bool sandbox_is_alive(const char *dir)
{
	struct sandbox_record record;
	uint64_t ticks;

	return sandbox_record_read(dir, &record) == 0 &&
	       proc_start_ticks(record.pid, &ticks) == 0 && ticks == record.start_ticks;
}
