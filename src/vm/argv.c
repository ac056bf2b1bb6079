/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argv.c - QEMU's command line, from a table
 *
 * DOC: Theory of operation
 *
 * A template and its clones must have the same machine, device for device and address for
 * address, or the clone refuses the template's state. So one table describes both, and a row says
 * when it applies: the rows marked BOOT or CLONE are the only differences. Formats hold %names%
 * that are replaced by values; a value is escaped for where it lands (doubled commas in QEMU's
 * own option syntax, JSON in -blockdev).
 *
 * Places on the bus are fixed: 1 agent's port, 2 root disk, 3 upper disk, 4 the NIC, 16 and up
 * the empty root ports onto which later devices are plugged.
 */
#include "vm/argv.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"

enum {
	BOOT = 1 << 0,
	CLONE = 1 << 1,
	KVM = 1 << 2,
	TCG = 1 << 3,
	AMD64 = 1 << 4,
	ARM64 = 1 << 5,
	NIC = 1 << 6,
	JSON = 1 << 7, /* not a condition: how values are escaped */
};

struct argv_row {
	unsigned int when; /* all of these must hold */
	const char *option;
	const char *format; /* NULL: an option without an argument */
};

static const struct argv_row argv_rows[] = {
	{0, "-name", "%name%,debug-threads=on"},
	{0, "-no-user-config", NULL},
	{0, "-nodefaults", NULL},
	{0, "-display", "none"},
	{0, "-no-reboot", NULL},
	{0, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"},

	/* the machine */
	{AMD64, "-M",
	 "q35,sata=off,smbus=off,usb=off,vmport=off,dump-guest-core=off,memory-backend=m0"},
	{ARM64, "-M", "virt,dump-guest-core=off,memory-backend=m0"},
	{KVM, "-accel", "kvm"},
	{TCG, "-accel", "tcg,tb-size=%tb_mib%"},
	{KVM, "-cpu", "host"},
	{TCG, "-cpu", "max,erms=off"},
	{0, "-smp", "%vcpus%"},
	{0, "-m", "%memory_mib%M"},
	{BOOT, "-object",
	 "memory-backend-file,id=m0,size=%memory_mib%M,mem-path=%memory%,share=on"},
	{CLONE, "-object",
	 "memory-backend-file,id=m0,size=%memory_mib%M,mem-path=%memory%,share=off,reserve=off"},
	{BOOT, "-kernel", "%kernel%"},
	{BOOT, "-initrd", "%initrd%"},
	/* emulated, clearing every page before it is used makes fork() a fifth slower */
	{BOOT | KVM | AMD64, "-append", "console=ttyS0 quiet reboot=t panic=-1"},
	{BOOT | TCG | AMD64, "-append",
	 "console=ttyS0 quiet reboot=t panic=-1 init_on_alloc=0 "
	 "tsc=reliable psi=0 sysctl.vm.compaction_proactiveness=0 sysctl.vm.stat_interval=30"},
	{BOOT | KVM | ARM64, "-append", "console=ttyAMA0 quiet panic=-1"},
	{BOOT | TCG | ARM64, "-append",
	 "console=ttyAMA0 quiet panic=-1 init_on_alloc=0 "
	 "tsc=reliable psi=0 sysctl.vm.compaction_proactiveness=0 sysctl.vm.stat_interval=30"},
	/* tells a guest that it is a clone; emulated, the ACPI code that every resume then runs
	 * costs more than all of Hello, which says the same before anything else happens */
	{KVM | AMD64, "-device", "vmgenid,guid=auto,id=genid"},

	/* the kernel's last words: bounded, in QEMU's memory, read by QMP when a boot fails */
	{0, "-chardev", "ringbuf,id=console,size=65536"},
	{0, "-serial", "chardev:console"},

	/* control, and the channel to the agent */
	{0, "-chardev", "socket,id=qmp,fd=%qmp_fd%,server=on,wait=off"},
	{0, "-mon", "chardev=qmp,mode=control"},
	{0, "-device", "virtio-serial-pci,id=serial,max_ports=2,addr=0x1"},
	{0, "-chardev", "socket,id=agent,fd=%agent_fd%,server=on,wait=off"},
	{0, "-device", "virtserialport,bus=serial.0,nr=1,chardev=agent,name=" VM_AGENT_PORT},

	/* disks: the template has stand-ins of the same capacity, so a clone's guest never looks
	 * again; a raw node sits on top so that what is below it can be exchanged */
	{BOOT | JSON, "-blockdev",
	 "{\"driver\":\"raw\",\"node-name\":\"root\",\"read-only\":true,\"file\":"
	 "{\"driver\":\"null-co\",\"size\":%root_bytes%,\"read-zeroes\":true}}"},
	{CLONE | JSON, "-blockdev",
	 "{\"driver\":\"raw\",\"node-name\":\"root\",\"read-only\":true,\"file\":"
	 "{\"driver\":\"vmdk\",\"read-only\":true,\"file\":"
	 "{\"driver\":\"file\",\"read-only\":true,\"filename\":\"%root%\"}}}"},
	{JSON, "-blockdev",
	 "{\"driver\":\"raw\",\"node-name\":\"upper\",\"discard\":\"unmap\",\"file\":"
	 "{\"driver\":\"file\",\"discard\":\"unmap\",\"filename\":\"%upper%\"}}"},
	{0, "-device",
	 "virtio-blk-pci,drive=root,id=disk0,serial=" SANDBOX_ROOT_SERIAL ",addr=0x2"},
	{0, "-device",
	 "virtio-blk-pci,drive=upper,id=disk1,serial=" SANDBOX_UPPER_SERIAL ",addr=0x3"},

	/* The NIC, on a tap that the host has made: a point-to-point link, whose MTU it dictates.
	 * The address is the template's; each clone's agent sets its own. */
	{NIC, "-netdev", "tap,id=n0,fd=%tap_fd%"},
	{NIC, "-device",
	 "virtio-net-pci,netdev=n0,id=nic0,mac=02:61:00:00:00:00,host_mtu=9000,romfile=,addr=0x4"},

	/* places for what comes later */
	{0, "-device", "pcie-root-port,id=rp0,chassis=1,addr=0x10"},
	{0, "-device", "pcie-root-port,id=rp1,chassis=2,addr=0x11"},
	{0, "-device", "pcie-root-port,id=rp2,chassis=3,addr=0x12"},
	{0, "-device", "pcie-root-port,id=rp3,chassis=4,addr=0x13"},
	{0, "-device", "pcie-root-port,id=rp4,chassis=5,addr=0x14"},
	{0, "-device", "pcie-root-port,id=rp5,chassis=6,addr=0x15"},
	{0, "-device", "pcie-root-port,id=rp6,chassis=7,addr=0x16"},
	{0, "-device", "pcie-root-port,id=rp7,chassis=8,addr=0x17"},

	/* state travels without QEMU's own run state: a clone runs as soon as it is told to */
	{0, "-global", "migration.store-global-state=off"},
	{CLONE, "-incoming", "defer"},
};

struct argv_value {
	const char *name;
	const char *text; /* NULL: use number */
	unsigned long long number;
};

static void argv_escape_json(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_addf(b, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			buf_addf(b, "\\u%04x", (unsigned char)*s);
		else
			buf_add(b, s, 1);
	}
}

static void argv_escape_opts(struct buf *b, const char *s)
{
	for (; *s; s++)
		buf_adds(b, *s == ',' ? ",," : (char[]){*s, '\0'});
}

static int argv_add_value(struct buf *b, const struct argv_value *values, size_t n,
			  const char *name, size_t name_len, bool json)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(values[i].name) != name_len ||
		    memcmp(values[i].name, name, name_len) != 0)
			continue;
		if (!values[i].text)
			buf_addf(b, "%llu", values[i].number);
		else if (json)
			argv_escape_json(b, values[i].text);
		else
			argv_escape_opts(b, values[i].text);
		return 0;
	}
	return -EINVAL; /* a hole in the table, or a path the caller did not give */
}

static int argv_expand(const char *format, const struct argv_value *values, size_t n, bool json,
		       char **ret_text)
{
	_cleanup_buf_ struct buf b = {};
	int r;

	for (const char *p = format; *p;) {
		const char *end;

		if (*p != '%') {
			buf_add(&b, p++, 1);
			continue;
		}
		end = strchr(p + 1, '%');
		if (!end)
			return -EINVAL;
		r = argv_add_value(&b, values, n, p + 1, (size_t)(end - p - 1), json);
		if (r < 0)
			return r;
		p = end + 1;
	}
	if (b.failed)
		return -ENOMEM;
	*ret_text = buf_steal(&b);
	return *ret_text ? 0 : -ENOMEM;
}

static int argv_push(struct vm_argv *argv, char *text /* owned, may be NULL */)
{
	char **bigger;

	if (!text)
		return -ENOMEM;
	bigger = reallocarray(argv->v, argv->n + 2, sizeof(*bigger));
	if (!bigger) {
		free(text);
		return -ENOMEM;
	}
	argv->v = bigger;
	argv->v[argv->n++] = text;
	argv->v[argv->n] = NULL;
	return 0;
}

static unsigned int argv_state(const struct vm_argv_spec *spec)
{
	return (spec->clone ? CLONE : BOOT) | (spec->kvm ? KVM : TCG) |
	       (spec->arch == VM_ARCH_ARM64 ? ARM64 : AMD64) | (spec->tap_fd >= 0 ? NIC : 0) | JSON;
}

static int argv_check(const struct vm_argv_spec *spec)
{
	const char *needed[] = {
		spec->qemu_path,
		spec->name,
		spec->memory_path,
		spec->clone ? spec->root_disk : spec->kernel_path,
		spec->clone ? spec->root_disk : spec->initrd_path,
		spec->upper_disk,
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (str_empty(needed[i]))
			return -EINVAL;
	if (spec->shape.vcpus == 0 || spec->shape.memory_mib == 0)
		return -EINVAL;
	return spec->qmp_fd < 0 || spec->agent_fd < 0 ? -EINVAL : 0;
}

static int argv_fill(const struct vm_argv_spec *spec, struct vm_argv *argv)
{
	const struct argv_value values[] = {
		{"name", spec->name, 0},
		{"tb_mib", NULL, VM_TB_MIB},
		{"vcpus", NULL, spec->shape.vcpus},
		{"memory_mib", NULL, spec->shape.memory_mib},
		{"memory", spec->memory_path, 0},
		{"kernel", spec->kernel_path ?: "", 0},
		{"initrd", spec->initrd_path ?: "", 0},
		{"root", spec->root_disk ?: "", 0},
		{"upper", spec->upper_disk ?: "", 0},
		{"root_bytes", NULL, SANDBOX_ROOT_DISK_BYTES},
		{"qmp_fd", NULL, (unsigned int)spec->qmp_fd},
		{"agent_fd", NULL, (unsigned int)spec->agent_fd},
		{"tap_fd", NULL, (unsigned int)spec->tap_fd},
	};
	unsigned int state = argv_state(spec);
	int r = argv_push(argv, strdup(spec->qemu_path));

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(argv_rows); i++) {
		const struct argv_row *row = &argv_rows[i];
		char *text = NULL;

		if ((row->when & ~state) != 0)
			continue;
		r = argv_push(argv, strdup(row->option));
		if (r < 0 || !row->format)
			continue;
		r = argv_expand(row->format, values, ARRAY_SIZE(values), row->when & JSON, &text);
		if (r == 0)
			r = argv_push(argv, text);
	}
	return r;
}

/**
 * vm_argv_build() - The command line of a template's or a clone's QEMU
 * @spec:     What to run; paths may hold any byte but NUL
 * @ret_argv: Receives the words; released with vm_argv_done(); set on success
 *
 * Return: 0, -EINVAL if @spec lacks something its kind needs, or -ENOMEM
 */
int vm_argv_build(const struct vm_argv_spec *spec, struct vm_argv *ret_argv)
{
	struct vm_argv argv = {};
	int r = argv_check(spec);

	if (r == 0)
		r = argv_fill(spec, &argv);
	if (r < 0) {
		vm_argv_done(&argv);
		return r;
	}
	*ret_argv = argv;
	return 0;
}

/**
 * vm_argv_done() - Release the words
 * @argv: Filled or zeroed; empty afterwards
 */
void vm_argv_done(struct vm_argv *argv)
{
	for (size_t i = 0; i < argv->n; i++)
		free(argv->v[i]);
	free(argv->v);
	*argv = (struct vm_argv){};
}

/**
 * vm_arch_host() - The architecture guests have here: the host's own
 *
 * Return: the architecture this daemon was built for
 */
enum vm_arch vm_arch_host(void)
{
#if defined(__aarch64__)
	return VM_ARCH_ARM64;
#else
	return VM_ARCH_AMD64;
#endif
}

/**
 * vm_arch_qemu() - The program that emulates an architecture
 * @arch: Architecture
 *
 * Return: its name in PATH
 */
const char *vm_arch_qemu(enum vm_arch arch)
{
	return arch == VM_ARCH_ARM64 ? "qemu-system-aarch64" : "qemu-system-x86_64";
}

/**
 * vm_arch_package() - Debian's package that has vm_arch_qemu()
 * @arch: Architecture
 *
 * Return: its name
 */
const char *vm_arch_package(enum vm_arch arch)
{
	return arch == VM_ARCH_ARM64 ? "qemu-system-arm" : "qemu-system-x86";
}
