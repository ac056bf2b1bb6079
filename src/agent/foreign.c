/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.c - programs for another processor
 *
 * execve(2) says ENOEXEC of them as of any garbage. The header of an ELF file (elf(5)) tells which
 * it is, whatever the image says of itself. The bytes are the container's: only read, never
 * trusted.
 */
#include "agent/foreign.h"

#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define FOREIGN_HEADER_BYTES 20 /* up to e_machine, the same in both classes */

#if defined(__x86_64__)
#define FOREIGN_OWN EM_X86_64
#elif defined(__aarch64__)
#define FOREIGN_OWN EM_AARCH64
#endif

static const struct {
	unsigned int machine;
	const char *name; /* as qemu-user calls it */
} foreign_machines[] = {
	{EM_386, "i386"},	 {EM_ARM, "arm"},      {EM_X86_64, "x86_64"},
	{EM_AARCH64, "aarch64"}, {EM_RISCV, "riscv"},  {EM_S390, "s390x"},
	{EM_PPC64, "ppc64"},	 {EM_PPC, "ppc"},      {EM_MIPS, "mips"},
	{EM_SPARCV9, "sparc64"}, {258, "loongarch64"},
};

/**
 * foreign_machine() - The processor that a program is for, if it is not this one
 * @path: Program that could not be executed
 *
 * Return: its name, constant; NULL if it is no ELF file or for this processor
 */
const char *foreign_machine(const char *path)
{
	unsigned char head[FOREIGN_HEADER_BYTES];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned int machine;

	if (fd < 0 || read(fd, head, sizeof(head)) != (ssize_t)sizeof(head) ||
	    memcmp(head, ELFMAG, SELFMAG) != 0)
		return NULL;
	machine = head[EI_DATA] == ELFDATA2MSB ? head[18] * 256u + head[19]
					       : head[19] * 256u + head[18];
	if (machine == FOREIGN_OWN)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(foreign_machines); i++)
		if (foreign_machines[i].machine == machine)
			return foreign_machines[i].name;
	return "another processor";
}
