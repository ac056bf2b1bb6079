/* SPDX-License-Identifier: Apache-2.0 */
/* fakes.c - VMs, images, streams, events and execs as the container manager's tests need them */
#include "fakes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "agent.pb-c.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/str.h"
#include "core/container_log.h"
#include "core/events.h"
#include "core/exec.h"
#include "core/images.h"
#include "core/stdio.h"
#include "image/image.h"
#include "image/platform.h"
#include "rpc/client.h"
#include "vm/vm.h"

struct fakes fakes;

struct sandbox {
	char id[ID_BUF];
	sandbox_gone_fn gone;
	void *user;
	bool stopped;
	struct sandbox *next, *prev;
};

struct stdio {
	char id[ID_BUF];
	const struct stdio_ops *ops;
	void *user;
	int status, code; /* of the posted callback */
	bool ended;
	int refs;
	struct stdio *next, *prev;
};

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static struct stdio *fake_ios;
static struct sandbox *fake_sandboxes;

void fakes_reset(struct loop *loop)
{
	memset(&fakes, 0, sizeof(fakes));
	fakes.loop = loop;
	fakes.adopt_exit = -1;
}

int vmm_prepare(struct vmm *vmm UNUSED, struct vm_shape shape UNUSED, struct err *err UNUSED)
{
	return 0;
}

int vmm_sweep(struct vmm *vmm UNUSED, bool (*keep)(void *, const char *) UNUSED, void *user UNUSED)
{
	fakes.swept++;
	return 0;
}

int upper_disk_create(struct vmm *vmm UNUSED, const char *path, struct err *err UNUSED)
{
	return fs_write_file(path, "disk", 4, 0600);
}

uint64_t upper_disk_used(struct vmm *vmm UNUSED, const char *path)
{
	return fs_exists(path) ? 4096 : 0;
}

static struct sandbox *fake_sandbox(const char *id, sandbox_gone_fn gone, void *user)
{
	struct sandbox *sb = calloc(1, sizeof(*sb)), *other;

	(void)snprintf(sb->id, sizeof(sb->id), "%s", id);
	sb->gone = gone;
	sb->user = user;
	pthread_mutex_lock(&fake_lock);
	DL_FOREACH (fake_sandboxes, other)
		fakes.namesakes += !other->stopped && str_eq(other->id, id);
	DL_APPEND(fake_sandboxes, sb);
	fakes.sandboxes++;
	pthread_mutex_unlock(&fake_lock);
	return sb;
}

int sandbox_start(struct vmm *vmm UNUSED, const struct sandbox_spec *spec, sandbox_gone_fn gone,
		  void *user, struct sandbox **ret_sandbox, struct err *err)
{
	if (fakes.start_takes_ms)
		usleep((useconds_t)fakes.start_takes_ms * 1000);
	if (fakes.start == FAKE_NO_VM)
		return err_sys(err, -ENOMEM, "cannot start the VM");
	*ret_sandbox = fake_sandbox(spec->id, gone, user);
	return 0;
}

/* Return: whether the guest answers */
static bool fake_adopt_answers(const char *id)
{
	int now = atomic_fetch_add(&fakes.adopting, 1) + 1;
	bool mute = str_eq(id, fakes.adopt_mute);

	for (int max = fakes.adopting_max; now > max;)
		if (atomic_compare_exchange_weak(&fakes.adopting_max, &max, now))
			break;
	for (int i = 0; i < 500 && fakes.adopting_max < fakes.adopt_together; i++)
		usleep(10000);
	for (int i = 0; i < 1000 && mute && !fakes.unmuted; i++)
		usleep(10000);
	atomic_fetch_sub(&fakes.adopting, 1);
	return !mute;
}

static void fake_hello_process(Arca__V1__HelloResponse *hello, const char *id)
{
	Arca__V1__ProcessState *state = calloc(1, sizeof(*state));

	arca__v1__process_state__init(state);
	state->id = strdup(id);
	hello->processes[hello->n_processes++] = state;
}

int sandbox_adopt(struct vmm *vmm UNUSED, const char *id, sandbox_gone_fn gone, void *user,
		  struct sandbox **ret_sandbox, struct Arca__V1__HelloResponse **ret_hello,
		  struct err *err UNUSED)
{
	Arca__V1__HelloResponse *hello;

	if (!fakes.adopt || !fake_adopt_answers(id))
		return -ENOENT;
	hello = calloc(1, sizeof(*hello));
	arca__v1__hello_response__init(hello);
	hello->processes = calloc(2, sizeof(hello->processes[0]));
	if (fakes.adopt_knows)
		fake_hello_process(hello, id);
	if (*fakes.adopt_knows_too)
		fake_hello_process(hello, fakes.adopt_knows_too);
	fakes.adopted++;
	*ret_hello = hello;
	*ret_sandbox = fake_sandbox(id, gone, user);
	return 0;
}

struct rpc_client *sandbox_rpc(struct sandbox *sb)
{
	return (struct rpc_client *)sb;
}

pid_t sandbox_pid(const struct sandbox *sb UNUSED)
{
	return 4242;
}

void sandbox_stop(struct sandbox *sb, unsigned int timeout_ms)
{
	if (timeout_ms)
		fakes.stopped_softly++;
	else
		fakes.stopped_hard++;
	if (fakes.stop_takes_ms)
		usleep((useconds_t)fakes.stop_takes_ms * 1000);
	loop_call(fakes.loop, sb->gone, sb->user);
	pthread_mutex_lock(&fake_lock);
	sb->stopped = true;
	pthread_mutex_unlock(&fake_lock);
}

void sandbox_disk_serials(const char *id, struct sandbox_serials *ret_serials)
{
	(void)snprintf(ret_serials->root, sizeof(ret_serials->root), "r%.18s", id);
	(void)snprintf(ret_serials->upper, sizeof(ret_serials->upper), "u%.18s", id);
}

int sandbox_disks_add(struct sandbox *sb UNUSED, const char *id UNUSED, const char *root UNUSED,
		      const char *upper UNUSED, struct err *err)
{
	if (fakes.no_slot)
		return err_user(err, ERR_INVALID, "no room");
	fakes.disks++;
	return 0;
}

int sandbox_disks_remove(struct sandbox *sb UNUSED, const char *id UNUSED, struct err *err UNUSED)
{
	fakes.disks--;
	return 0;
}

int sandbox_nics_remove(struct sandbox *sb UNUSED, struct err *err UNUSED)
{
	return 0;
}

int sandbox_disks_release(struct sandbox *sb UNUSED, struct err *err UNUSED)
{
	fakes.released++;
	return 0;
}

void sandbox_free(struct sandbox *sb)
{
	pthread_mutex_lock(&fake_lock);
	DL_DELETE(fake_sandboxes, sb);
	fakes.sandboxes--;
	pthread_mutex_unlock(&fake_lock);
	free(sb);
}

int rpc_call(struct rpc_client *client UNUSED, const char *method, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *reply_type UNUSED, unsigned int timeout_ms UNUSED,
	     ProtobufCMessage **ret_reply UNUSED, struct err *err)
{
	const Arca__V1__SignalRequest *signal = (const Arca__V1__SignalRequest *)request;

	if (str_eq(method, "/arca.v1.Sandbox/RemoveContainer")) {
		if (fakes.clear_refused)
			return err_user(err, ERR_INTERNAL, "refused");
		fakes.cleared++;
	}
	if (!str_eq(method, "/arca.v1.Process/Signal"))
		return 0;
	fakes.last_signal = signal->signal;
	if (fakes.signal_status) {
		err_user(err, ERR_INTERNAL, "refused");
		return fakes.signal_status;
	}
	if (!fakes.ignore_signals)
		fakes_exit(signal->id, 128 + fakes.last_signal);
	return 0;
}

static void fake_io_unref(struct stdio *io)
{
	bool last;

	pthread_mutex_lock(&fake_lock);
	last = --io->refs == 0;
	if (last)
		DL_DELETE(fake_ios, io);
	pthread_mutex_unlock(&fake_lock);
	if (last)
		free(io);
}

int stdio_new(struct loop *loop UNUSED, const struct stdio_spec *spec, const struct stdio_ops *ops,
	      void *user, struct stdio **ret)
{
	struct stdio *io = calloc(1, sizeof(*io));

	(void)snprintf(io->id, sizeof(io->id), "%s", spec->id);
	io->ops = ops;
	io->user = user;
	io->refs = 1;
	pthread_mutex_lock(&fake_lock);
	DL_APPEND(fake_ios, io);
	pthread_mutex_unlock(&fake_lock);
	*ret = io;
	return 0;
}

static void fake_io_end(struct stdio *io, int code, bool lost)
{
	struct stdio_exit exit = {.code = code, .at_ns = clock_realtime_ns(), .lost = lost};

	if (io->ended || !io->ops)
		return;
	io->ended = true;
	io->ops->exited(io->user, &exit);
}

static void fake_io_started(void *user)
{
	struct stdio *io = user;

	if (io->ops && io->status)
		io->ops->start_failed(io->user, io->status,
				      "exec: \"x\": executable file not found");
	else if (io->ops)
		io->ops->started(io->user, 1);
	if (!io->status && fakes.start == FAKE_DIES_AT_ONCE)
		fake_io_end(io, 7, false);
	fake_io_unref(io);
}

static void fake_io_exited(void *user)
{
	struct stdio *io = user;

	fake_io_end(io, io->code, false);
	fake_io_unref(io);
}

static void fake_io_lost(void *user)
{
	struct stdio *io = user;

	fake_io_end(io, 137, true);
	fake_io_unref(io);
}

static void fake_io_post(struct stdio *io, loop_fn fn)
{
	pthread_mutex_lock(&fake_lock);
	io->refs++;
	pthread_mutex_unlock(&fake_lock);
	loop_post(fakes.loop, fn, io);
}

int stdio_start(struct stdio *io, struct rpc_client *rpc UNUSED,
		const struct Arca__V1__StartRequest *start UNUSED, struct err *err UNUSED)
{
	io->status = fakes.start == FAKE_NO_PROGRAM ? RPC_NOT_FOUND : 0;
	fake_io_post(io, fakes.start == FAKE_VM_DIES ? fake_io_lost : fake_io_started);
	return 0;
}

int stdio_resume(struct stdio *io, struct rpc_client *rpc UNUSED, struct err *err UNUSED)
{
	if (fakes.adopt_exit >= 0) {
		io->code = fakes.adopt_exit;
		fake_io_post(io, fake_io_exited);
	}
	return 0;
}

void stdio_lost(struct stdio *io)
{
	fake_io_post(io, fake_io_lost);
}

static void fake_io_detach(void *user)
{
	((struct stdio *)user)->ops = NULL;
}

void stdio_free(struct stdio *io)
{
	loop_call(fakes.loop, fake_io_detach, io);
	fake_io_unref(io);
}

int stdio_attach(struct stdio *io UNUSED, const struct stdio_attach *attach, struct err *err UNUSED)
{
	if (attach->ready)
		attach->ready(attach->user);
	return 0;
}

int stdio_resize(struct stdio *io UNUSED, unsigned int rows UNUSED, unsigned int cols UNUSED,
		 struct err *err UNUSED)
{
	return 0;
}

static struct stdio *fake_io_find(const char *id)
{
	struct stdio *io;

	DL_FOREACH (fake_ios, io) {
		if (str_eq(io->id, id) && io->ops && !io->ended)
			return io;
	}
	return NULL;
}

void fakes_exit(const char *container_id, int code)
{
	struct stdio *io;

	pthread_mutex_lock(&fake_lock);
	io = fake_io_find(container_id);
	pthread_mutex_unlock(&fake_lock);
	if (!io)
		return;
	io->code = code;
	fake_io_post(io, fake_io_exited);
}

void fakes_vm_dies(const char *container_id)
{
	struct sandbox *sb;

	pthread_mutex_lock(&fake_lock);
	DL_FOREACH (fake_sandboxes, sb) {
		if (str_eq(sb->id, container_id))
			break;
	}
	pthread_mutex_unlock(&fake_lock);
	if (sb)
		loop_call(fakes.loop, sb->gone, sb->user);
}

int container_log_open(const char *path UNUSED, const struct container_log_options *options UNUSED,
		       bool tty UNUSED, struct container_log **ret, struct err *err UNUSED)
{
	*ret = (struct container_log *)strdup("log");
	return 0;
}

void container_log_close(struct container_log *log)
{
	free(log);
}

int container_log_read(struct container_log *log UNUSED,
		       const struct container_log_query *query UNUSED, log_write_fn write,
		       void *user, struct err *err UNUSED)
{
	return write(user, "line\n", 5);
}

void events_publish(struct events *events UNUSED, const char *type UNUSED, const char *action,
		    const char *actor_id UNUSED, json_t *attributes)
{
	pthread_mutex_lock(&fake_lock);
	if (strlen(fakes.events) + strlen(action) + 2 < sizeof(fakes.events)) {
		strcat(fakes.events, action);
		strcat(fakes.events, " ");
	}
	pthread_mutex_unlock(&fake_lock);
	json_decref(attributes);
}

json_t *exec_ids(struct execs *es UNUSED, const char *container_id UNUSED)
{
	return NULL;
}

void exec_container_gone(struct execs *es UNUSED, const char *container_id UNUSED,
			 bool removed UNUSED)
{
}

int image_get(struct image_store *is UNUSED, const char *ref, struct image **ret_image,
	      struct err *err)
{
	struct image *image;

	if (fakes.no_image || (!str_eq(ref, "busybox") && !str_starts(ref, "sha256:")))
		return err_user(err, ERR_NOT_FOUND, "No such image: %s:latest", ref);
	image = calloc(1, sizeof(*image));
	(void)snprintf(image->id, sizeof(image->id), "sha256:%064d", 7);
	image->os = strdup("linux");
	image->architecture = strdup("amd64");
	image->config = json_pack("{s:{s:[s], s:[s]}}", "config", "Cmd", "sh", "Env", "PATH=/bin");
	*ret_image = image;
	return 0;
}

int image_get_for(struct image_store *is, const char *ref, const struct platform *platform,
		  struct image **ret_image, struct err *err)
{
	int r = image_get(is, ref, ret_image, err);

	if (r == 0 && platform)
		r = platform_check_image(platform, *ret_image, ref, err);
	if (r < 0)
		*ret_image = NULL;
	return r;
}

void image_free(struct image *image)
{
	if (!image)
		return;
	free(image->os);
	free(image->architecture);
	json_decref(image->config);
	free(image);
}

int image_rootfs(struct image_store *is UNUSED, const struct image *image UNUSED,
		 uint64_t disk_bytes UNUSED, char **ret_vmdk, struct err *err UNUSED)
{
	*ret_vmdk = strdup("/dev/null");
	return 0;
}

void images_use_begin(void)
{
}

void images_use_end(void)
{
}
