/* SPDX-License-Identifier: Apache-2.0 */
/* test-argv.c - QEMU's command line */
#include <errno.h>

#include "base/str.h"
#include "unit/test.h"
#include "vm/argv.h"

static struct vm_argv_spec clone_spec(void)
{
	return (struct vm_argv_spec){
		.arch = VM_ARCH_AMD64,
		.clone = true,
		.shape = {.vcpus = 2, .memory_mib = 512},
		.qemu_path = "/usr/bin/qemu",
		.name = "arca-0123",
		.memory_path = "/t/memory",
		.root_disk = "/r/root.vmdk",
		.upper_disk = "/u/upper.ext4",
		.qmp_fd = 3,
		.agent_fd = 4,
		.tap_fd = -EBADF,
	};
}

static struct vm_argv_spec boot_spec(void)
{
	struct vm_argv_spec spec = clone_spec();

	spec.clone = false;
	spec.root_disk = NULL;
	spec.kernel_path = "/g/vmlinux";
	spec.initrd_path = "/g/initrd.img";
	return spec;
}

/* The argument of the n-th (from 0) such option; NULL if there is none. */
static const char *find(const struct vm_argv *argv, const char *option, int n)
{
	for (size_t i = 1; i < argv->n; i++)
		if (str_eq(argv->v[i], option) && n-- == 0)
			return argv->v[i + 1];
	return NULL;
}

static bool has(const struct vm_argv *argv, const char *option, const char *part)
{
	const char *arg;

	for (int n = 0; (arg = find(argv, option, n)); n++)
		if (strstr(arg, part))
			return true;
	return false;
}

/* Goal: template and clone are the same machine: same devices in the same places. */
TEST(template_and_clone_have_the_same_devices)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv boot = {}, clone = {};
	struct vm_argv_spec b = boot_spec(), c = clone_spec();
	int n;

	ASSERT_OK(vm_argv_build(&b, &boot));
	ASSERT_OK(vm_argv_build(&c, &clone));
	for (n = 0; find(&boot, "-device", n); n++)
		ASSERT_STREQ(find(&clone, "-device", n), find(&boot, "-device", n));
	ASSERT(n >= 8);
	ASSERT(!find(&clone, "-device", n));
	ASSERT_STREQ(find(&clone, "-M", 0), find(&boot, "-M", 0));
	ASSERT_STREQ(find(&clone, "-cpu", 0), find(&boot, "-cpu", 0));
}

/* Goal: a NIC is on the tap that was handed in, in its place on the bus, and boots nothing. */
TEST(a_tap_makes_a_nic)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv with = {}, without = {};
	struct vm_argv_spec spec = clone_spec();

	ASSERT_OK(vm_argv_build(&spec, &without));
	ASSERT(!find(&without, "-netdev", 0));
	ASSERT(!has(&without, "-device", "virtio-net"));
	spec.tap_fd = 5;
	ASSERT_OK(vm_argv_build(&spec, &with));
	ASSERT_STREQ(find(&with, "-netdev", 0), "tap,id=n0,fd=5");
	ASSERT(has(&with, "-device", "virtio-net-pci,netdev=n0,"));
	ASSERT(has(&with, "-device", ",host_mtu=9000,romfile=,addr=0x4"));
}

TEST(a_clone_maps_memory_privately_and_waits)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv argv = {};
	struct vm_argv_spec spec = clone_spec();

	ASSERT_OK(vm_argv_build(&spec, &argv));
	ASSERT_STREQ(argv.v[0], "/usr/bin/qemu");
	ASSERT(!argv.v[argv.n]);
	ASSERT(has(&argv, "-object", "share=off"));
	ASSERT_STREQ(find(&argv, "-incoming", 0), "defer");
	ASSERT(!find(&argv, "-kernel", 0));
	ASSERT(!find(&argv, "-initrd", 0));
	ASSERT_STREQ(find(&argv, "-m", 0), "512M");
	ASSERT_STREQ(find(&argv, "-smp", 0), "2");
	ASSERT(has(&argv, "-blockdev", "\"filename\":\"/r/root.vmdk\""));
	ASSERT(has(&argv, "-blockdev", "\"filename\":\"/u/upper.ext4\""));
	ASSERT(has(&argv, "-chardev", "id=qmp,fd=3,"));
	ASSERT(has(&argv, "-chardev", "id=agent,fd=4,"));
}

TEST(a_template_shares_its_memory_and_boots)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv argv = {};
	struct vm_argv_spec spec = boot_spec();

	ASSERT_OK(vm_argv_build(&spec, &argv));
	ASSERT(has(&argv, "-object", "share=on"));
	ASSERT(!find(&argv, "-incoming", 0));
	ASSERT_STREQ(find(&argv, "-kernel", 0), "/g/vmlinux");
	ASSERT_STREQ(find(&argv, "-initrd", 0), "/g/initrd.img");
	ASSERT(has(&argv, "-blockdev", "\"size\":274877906944"));
	ASSERT(has(&argv, "-blockdev", "\"filename\":\"/u/upper.ext4\""));
}

TEST(every_machine_is_confined_and_bare)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv argv = {};
	struct vm_argv_spec spec = clone_spec();

	ASSERT_OK(vm_argv_build(&spec, &argv));
	ASSERT(has(&argv, "-sandbox", "spawn=deny"));
	ASSERT(has(&argv, "-nodefaults", ""));
	ASSERT(has(&argv, "-no-user-config", ""));
}

TEST(accelerators)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv tcg = {}, kvm = {};
	struct vm_argv_spec spec = clone_spec();

	ASSERT_OK(vm_argv_build(&spec, &tcg));
	ASSERT_STREQ(find(&tcg, "-cpu", 0), "max,erms=off");
	ASSERT(str_starts(find(&tcg, "-accel", 0), "tcg,tb-size="));
	ASSERT(!find(&tcg, "-accel", 1));
	spec.kvm = true;
	ASSERT_OK(vm_argv_build(&spec, &kvm));
	ASSERT_STREQ(find(&kvm, "-cpu", 0), "host");
	ASSERT_STREQ(find(&kvm, "-accel", 0), "kvm");
	ASSERT(!find(&kvm, "-accel", 1));
}

TEST(arm64_is_the_virt_machine)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv argv = {};
	struct vm_argv_spec spec = boot_spec();

	spec.arch = VM_ARCH_ARM64;
	ASSERT_OK(vm_argv_build(&spec, &argv));
	ASSERT(str_starts(find(&argv, "-M", 0), "virt,"));
	ASSERT(!find(&argv, "-M", 1));
	ASSERT(!has(&argv, "-device", "vmgenid"));
	ASSERT(strstr(find(&argv, "-append", 0), "ttyAMA0"));
}

/* Goal: no path can add an option of its own. */
TEST(paths_are_escaped)
{
	__attribute__((cleanup(vm_argv_done))) struct vm_argv argv = {};
	struct vm_argv_spec spec = clone_spec();

	spec.memory_path = "/a,share=on/%name%";
	spec.root_disk = "/a\",\"x\":\"\\\n%root%";
	ASSERT_OK(vm_argv_build(&spec, &argv));
	ASSERT(has(&argv, "-object", "mem-path=/a,,share=on/%name%,share=off"));
	ASSERT(has(&argv, "-blockdev", "\"filename\":\"/a\\\",\\\"x\\\":\\\"\\\\\\u000a%root%\"}"));
}

TEST(what_is_missing_is_refused)
{
	struct vm_argv argv = {.n = 7};
	struct vm_argv_spec spec;

	spec = clone_spec(), spec.upper_disk = NULL;
	ASSERT_ERROR(vm_argv_build(&spec, &argv), EINVAL);
	spec = clone_spec(), spec.root_disk = "";
	ASSERT_ERROR(vm_argv_build(&spec, &argv), EINVAL);
	spec = clone_spec(), spec.memory_path = NULL;
	ASSERT_ERROR(vm_argv_build(&spec, &argv), EINVAL);
	spec = clone_spec(), spec.shape.vcpus = 0;
	ASSERT_ERROR(vm_argv_build(&spec, &argv), EINVAL);
	spec = clone_spec(), spec.qmp_fd = -1;
	ASSERT_ERROR(vm_argv_build(&spec, &argv), EINVAL);
	spec = boot_spec(), spec.kernel_path = NULL;
	ASSERT_ERROR(vm_argv_build(&spec, &argv), EINVAL);
	spec = boot_spec(), spec.initrd_path = NULL;
	ASSERT_ERROR(vm_argv_build(&spec, &argv), EINVAL);
	ASSERT_EQ(argv.n, 7); /* ret_ untouched on failure */
}

TEST_MAIN()
