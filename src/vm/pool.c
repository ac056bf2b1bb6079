/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - VMs that run ahead of need, so that a start waits for no clone
 *
 * DOC: Theory of operation
 *
 *	clone -> rehearse -> READY -> claimed: folder renamed, disks swapped, Hello
 *			           -> dropped: too many of its shape, pool ends, or it died
 *
 * A member is a clone with a small file system of our own behind its root disk and an upper disk
 * that nobody else sees. It has run one container already (rehearsal.c). Claiming one renames its
 * folder to the id of its new owner, opens the owner's disks and puts them below the raw nodes that
 * its devices sit on; the guest has unmounted both, so nothing of the old ones is in its caches.
 * Then vm.json is written, and it hears Hello: entropy, time, machine id, token. From there it is a
 * sandbox like any other. A daemon that is killed before leaves a VM without a record, which the
 * next one ends at once (orphan.c).
 *
 * One thread makes members, one at a time, and only while starts have been quiet for
 * POOL_QUIET_MS: what it does costs the processor time that a start needs. It makes members of the
 * shape asked for last; where the pool is full, the oldest of another shape goes. None is made
 * while less than 1/POOL_SPARE_PART of the host's memory is available, and after POOL_FAILURES_MAX
 * failures in a row it gives up: starts clone then.
 *
 * Members do not outlive the daemon: pool_free() ends them, and what a killed daemon leaves is
 * ended by vmm_sweep(), since no container knows their ids.
 *
 * A member that dies is noticed by the loop, which wakes the thread to drop and replace it.
 *
 * Locking: pool->lock, never held over anything that blocks. A member is owned by the pool while it
 * is in `ready`, by the caller from pool_take() on.
 */
#include "vm/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "vm/qemu.h"
#include "vm/qmp.h"
#include "vm/rehearsal.h"
#include "vm/sandbox.h"
#include "vm/vmm.h"

#define POOL_QUIET_MS 60
#define POOL_SPARE_PART 8
#define POOL_SPARE_RETRY_MS 5000
#define POOL_FAILURES_MAX 3
#define POOL_FAILURE_RETRY_MS 2000
#define POOL_ID_PREFIX "pool-"
#define POOL_MEMINFO_MAX 8192

struct pool {
	struct vmm *vmm; /* borrowed */
	char *root_disk; /* owned: descriptor of what rehearsals run in */
	size_t size;
	Arca__V1__StartRequest *rehearsal; /* owned */
	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	struct sandbox *ready[VM_POOL_MAX]; /* owned; oldest first */
	struct vm_shape shapes[VM_POOL_MAX];
	size_t n_ready;
	struct vm_shape wanted; /* the shape asked for last */
	uint64_t last_start_us;
	bool ending;
};

static bool shape_eq(struct vm_shape a, struct vm_shape b)
{
	return a.vcpus == b.vcpus && a.memory_mib == b.memory_mib;
}

/* Take member @i out of the list; under the lock. */
static struct sandbox *pool_remove_at(struct pool *pool, size_t i)
{
	struct sandbox *sb = pool->ready[i];
	size_t after = --pool->n_ready - i;

	memmove(pool->ready + i, pool->ready + i + 1, after * sizeof(pool->ready[0]));
	memmove(pool->shapes + i, pool->shapes + i + 1, after * sizeof(pool->shapes[0]));
	return sb;
}

/* A member of this shape, or NULL; and the thread learns what is asked for. */
static struct sandbox *pool_take(struct pool *pool, struct vm_shape shape)
{
	struct sandbox *sb = NULL;

	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < pool->n_ready && !sb; i++)
		if (shape_eq(pool->shapes[i], shape))
			sb = pool_remove_at(pool, i);
	pool->wanted = shape;
	pool->last_start_us = clock_us();
	pthread_cond_signal(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
	return sb;
}

struct pool_rename {
	struct sandbox *sb;
	const char *id;
	int result;
};

/* On the loop thread, where the callbacks that print the id run. */
static void pool_do_rename(void *user)
{
	struct pool_rename *change = user;
	struct sandbox *sb = change->sb;
	_cleanup_free_ char *dir = str_format("%s/%s", sb->vmm->run_dir, change->id);
	char *id = strdup(change->id);

	if (!dir || !id) {
		free(id);
		change->result = -ENOMEM;
		return;
	}
	change->result = rename(sb->dir, dir) < 0 ? -errno : 0;
	if (change->result < 0) {
		free(id);
		return;
	}
	free(sb->dir);
	free(sb->id);
	sb->dir = TAKE_PTR(dir);
	sb->id = id;
}

static int pool_rename(struct sandbox *sb, const char *id, struct err *err)
{
	_cleanup_free_ char *dir = str_format("%s/%s", sb->vmm->run_dir, id);
	struct pool_rename change = {.sb = sb, .id = id};
	int r;

	if (!dir)
		return err_oom(err);
	/* what a dead VM of this id left; a living one keeps its folder, and rename() fails */
	if (fs_exists(dir) && !sandbox_is_alive(dir))
		(void)fs_remove_tree(dir); /* shows in the rename */
	r = loop_call(sb->vmm->loop, pool_do_rename, &change);
	if (r == 0)
		r = change.result;
	return r < 0 ? err_sys(err, r, "cannot rename %s", sb->dir) : 0;
}

static int pool_hand_over(struct sandbox *sb, const struct sandbox_spec *spec, struct err *err)
{
	_cleanup_free_ char *upper = NULL;
	int r = pool_rename(sb, spec->id, err);

	if (r == 0)
		r = sandbox_disks_put(sb, spec->root_disk, spec->upper_disk, err);
	if (r < 0)
		return r;
	upper = sandbox_own_upper(sb);
	if (upper)
		(void)unlink(upper); /* it goes with the folder otherwise */
	r = sandbox_record_write(sb);
	if (r == 0)
		r = sandbox_say_hello(sb, true);
	return r != 0 ? err_sys(err, r > 0 ? -EPIPE : r, "cannot reach the VM") : 0;
}

/**
 * pool_claim() - A VM out of the pool, with somebody's disks
 * @pool:	 Pool or NULL
 * @spec:	 Shape and disks
 * @ret_sandbox: The sandbox, unpublished, for sandbox_discard(); set if there is one
 *
 * About 4 ms. The agent's Hello is on its way, as for a clone.
 *
 * Return: whether there was one; where not, or where it turned out to be broken, clone
 */
bool pool_claim(struct pool *pool, const struct sandbox_spec *spec, struct sandbox **ret_sandbox)
{
	struct sandbox *sb;

	while (pool && spec->upper_disk && (sb = pool_take(pool, spec->shape))) {
		struct err err = {};

		if (!qemu_is_gone(sb->qemu) && pool_hand_over(sb, spec, &err) == 0) {
			*ret_sandbox = sb;
			return true;
		}
		if (*err.msg)
			log_warn("a VM of the pool cannot be used: %s", err.msg);
		sandbox_discard(sb);
	}
	return false;
}

static bool pool_has_memory(struct vm_shape shape)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long total_kib = 0, available_kib = 0;
	const char *at;

	if (fs_read_file("/proc/meminfo", POOL_MEMINFO_MAX, &text, NULL) < 0)
		return true; /* no reason to think otherwise */
	at = strstr(text, "MemTotal:");
	if (at)
		(void)sscanf(at, "MemTotal: %llu", &total_kib); /* or 0 */
	at = strstr(text, "MemAvailable:");
	if (at)
		(void)sscanf(at, "MemAvailable: %llu", &available_kib); /* or 0 */
	return available_kib > total_kib / POOL_SPARE_PART &&
	       available_kib / 1024 > shape.memory_mib;
}

static int pool_make(struct pool *pool, struct vm_shape shape, struct sandbox **ret_sandbox,
		     struct err *err)
{
	_cleanup_(sandbox_discardp) struct sandbox *sb = NULL;
	char id[sizeof(POOL_ID_PREFIX) + ID_LEN] = POOL_ID_PREFIX;
	struct sandbox_spec spec = {.id = id, .shape = shape, .root_disk = pool->root_disk};
	uint64_t start_us = clock_us();
	int r;

	id_generate(id + strlen(POOL_ID_PREFIX));
	r = sandbox_clone(pool->vmm, &spec, false, &sb, err);
	if (r == 0)
		r = rehearsal_run(sb, pool->rehearsal, err);
	if (r < 0)
		return r;
	log_debug("%.12s of %u CPUs and %u MiB is ready after %llu us", id, shape.vcpus,
		  shape.memory_mib, (unsigned long long)(clock_us() - start_us));
	*ret_sandbox = TAKE_PTR(sb);
	return 0;
}

static size_t pool_count(const struct pool *pool, struct vm_shape shape)
{
	size_t n = 0;

	for (size_t i = 0; i < pool->n_ready; i++)
		n += shape_eq(pool->shapes[i], shape);
	return n;
}

static void pool_sleep(struct pool *pool, uint64_t us)
{
	uint64_t end_us = clock_us() + us;
	struct timespec end = {.tv_sec = (time_t)(end_us / 1000000),
			       .tv_nsec = (long)(end_us % 1000000) * 1000};

	(void)pthread_cond_timedwait(&pool->cond, &pool->lock, &end); /* early is fine */
}

/* A member died; loop thread. */
static void pool_on_gone(void *user)
{
	struct pool *pool = user;

	pthread_mutex_lock(&pool->lock);
	pthread_cond_signal(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
}

/* Drop members that died; under the lock, which is given up meanwhile. */
static void pool_bury(struct pool *pool)
{
	for (size_t i = 0; i < pool->n_ready;) {
		struct sandbox *sb = pool->ready[i];

		if (!qemu_is_gone(sb->qemu)) {
			i++;
			continue;
		}
		(void)pool_remove_at(pool, i); /* it is sb */
		pthread_mutex_unlock(&pool->lock);
		sandbox_discard(sb);
		pthread_mutex_lock(&pool->lock);
		i = 0;
	}
}

/* Wait until a member is wanted and nobody starts anything; false when the pool ends. */
static bool pool_wait(struct pool *pool, struct vm_shape *ret_shape)
{
	bool ending;

	pthread_mutex_lock(&pool->lock);
	while (!pool->ending) {
		uint64_t quiet_us = pool->last_start_us + POOL_QUIET_MS * 1000, now_us = clock_us();

		pool_bury(pool);
		if (pool_count(pool, pool->wanted) >= pool->size)
			pthread_cond_wait(&pool->cond, &pool->lock);
		else if (quiet_us > now_us)
			pool_sleep(pool, quiet_us - now_us);
		else
			break;
	}
	*ret_shape = pool->wanted;
	ending = pool->ending;
	pthread_mutex_unlock(&pool->lock);
	return !ending;
}

/* Return: the member that has to go for it, owned by the caller, or NULL */
static struct sandbox *pool_put(struct pool *pool, struct sandbox *sb, struct vm_shape shape)
{
	struct sandbox *out = NULL;

	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; pool->n_ready >= pool->size && i < pool->n_ready && !out; i++)
		if (!shape_eq(pool->shapes[i], shape))
			out = pool_remove_at(pool, i);
	if (pool->ending || pool->n_ready >= pool->size) {
		out = sb;
	} else {
		pool->ready[pool->n_ready] = sb;
		pool->shapes[pool->n_ready++] = shape;
	}
	pthread_mutex_unlock(&pool->lock);
	return out;
}

/* What does not work just now is tried again in a while. */
static void pool_rest(struct pool *pool, unsigned int ms)
{
	uint64_t end_us = clock_us() + ms * 1000ULL;

	pthread_mutex_lock(&pool->lock);
	for (uint64_t now_us; !pool->ending && (now_us = clock_us()) < end_us;)
		pool_sleep(pool, end_us - now_us);
	pthread_mutex_unlock(&pool->lock);
}

static void *pool_main(void *user)
{
	struct pool *pool = user;
	unsigned int failures = 0;
	struct vm_shape shape;

	while (failures < POOL_FAILURES_MAX && pool_wait(pool, &shape)) {
		struct sandbox *sb = NULL;
		struct err err = {};

		if (!pool_has_memory(shape)) {
			pool_rest(pool, POOL_SPARE_RETRY_MS);
		} else if (pool_make(pool, shape, &sb, &err) == 0) {
			failures = 0;
			/* one that died meanwhile is found by pool_bury() */
			(void)sandbox_publish(sb, pool_on_gone, pool);
			sandbox_discard(pool_put(pool, sb, shape));
		} else if (!vmm_is_ending(pool->vmm)) {
			failures++;
			pool_rest(pool, POOL_FAILURE_RETRY_MS);
			log_warn("cannot make a VM for the pool: %s%s", err.msg,
				 failures < POOL_FAILURES_MAX ? "" : "; no more are tried");
		}
	}
	return NULL;
}

/**
 * pool_end() - Make no more members
 * @pool: Pool or NULL
 */
void pool_end(struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_signal(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
}

/**
 * pool_free() - End the members and free the pool
 * @pool: Pool or NULL; the loop still runs
 */
void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	pool_end(pool);
	if (pool->has_thread)
		pthread_join(pool->thread, NULL);
	while (pool->n_ready > 0)
		sandbox_discard(pool_remove_at(pool, pool->n_ready - 1));
	if (pool->rehearsal)
		arca__v1__start_request__free_unpacked(pool->rehearsal, NULL);
	pthread_cond_destroy(&pool->cond);
	pthread_mutex_destroy(&pool->lock);
	free(pool->root_disk);
	free(pool);
}

/*
 * The image with the constant capacity of all root disks, and a descriptor for it, as the argv and
 * sandbox_disks_put() expect of a root disk. Small, and made anew at each start: the image may have
 * changed.
 */
static int pool_make_root(struct pool *pool, const char *image, struct err *err)
{
	_cleanup_free_ char *path = str_format("%s/rehearsal.erofs", pool->vmm->template_dir);
	_cleanup_free_ char *text = str_format("# Disk DescriptorFile\n"
					       "version=1\n"
					       "CID=fffffffe\n"
					       "parentCID=ffffffff\n"
					       "createType=\"twoGbMaxExtentFlat\"\n"
					       "RW %llu FLAT \"rehearsal.erofs\" 0\n",
					       SANDBOX_ROOT_DISK_BYTES / 512);
	_cleanup_close_ int from = -EBADF, to = -EBADF;
	int r;

	pool->root_disk = str_format("%s/rehearsal.vmdk", pool->vmm->template_dir);
	if (!path || !text || !pool->root_disk)
		return err_oom(err);
	from = open(image, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return err_sys(err, -errno, "cannot open %s", image);
	(void)unlink(path); /* VMs that a killed daemon left may have it open */
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return err_sys(err, -errno, "cannot make %s", path);
	r = fs_copy_sparse(from, to);
	if (r == 0 && ftruncate(to, SANDBOX_ROOT_DISK_BYTES) < 0)
		r = -errno;
	if (r == 0)
		r = fs_write_file(pool->root_disk, text, strlen(text), 0600);
	return r < 0 ? err_sys(err, r, "cannot write %s", path) : 0;
}

DEFINE_CLEANUP(struct pool *, pool_free)

/**
 * vmm_pool_start() - Begin to fill the pool, in the background
 * @vmm:    Machine manager
 * @config: What it holds; copied
 * @err:    Filled on failure
 *
 * Once, before the first sandbox_start() and after what runs was adopted.
 *
 * Return: 0, or negative errno
 */
int vmm_pool_start(struct vmm *vmm, const struct vm_pool_config *config, struct err *err)
{
	_cleanup_(pool_freep) struct pool *pool = NULL;
	pthread_condattr_t attr;
	int r;

	if (config->size == 0)
		return 0;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return err_oom(err);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->cond, &attr);
	pthread_condattr_destroy(&attr);
	pool->vmm = vmm;
	pool->size = MIN(config->size, (unsigned int)VM_POOL_MAX);
	pool->wanted = config->shape;
	pool->rehearsal =
		arca__v1__start_request__unpack(NULL, config->rehearsal_len, config->rehearsal);
	if (!pool->rehearsal)
		return err_oom(err);
	r = pool_make_root(pool, config->root_image, err);
	if (r < 0)
		return r;
	r = pthread_create(&pool->thread, NULL, pool_main, pool);
	if (r != 0)
		return err_sys(err, -r, "cannot start a thread");
	pool->has_thread = true;
	vmm->pool = TAKE_PTR(pool);
	return 0;
}
