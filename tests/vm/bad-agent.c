/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bad-agent.c - an /init that loads the guest's modules and then misbehaves on the agent's port
 *
 * The kernel command line says how: nothing is written ("mute", compiled with -DBAD_AGENT_MUTE) or
 * an endless stream of noise ("garbage", the default). Put over the real initrd by
 * tests/fault/agent.sh.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void load_modules(void)
{
	char line[256], path[300];
	FILE *order = fopen("/modules/order", "r");

	while (order && fgets(line, sizeof(line), order)) {
		int fd;

		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(path, sizeof(path), "/modules/%s", line);
		fd = open(path, O_RDONLY);
		if (fd >= 0) {
			(void)syscall(SYS_finit_module, fd, "", 0);
			(void)close(fd);
		}
	}
}

static int open_port(void)
{
	for (;;) {
		DIR *dev = opendir("/dev");
		struct dirent *e;

		while (dev && (e = readdir(dev))) {
			char path[300];
			int fd;

			if (strncmp(e->d_name, "vport", 5) != 0)
				continue;
			(void)snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			fd = open(path, O_RDWR);
			if (fd >= 0)
				return fd;
		}
		if (dev)
			(void)closedir(dev);
		(void)usleep(20000);
	}
}

int main(void)
{
	static unsigned char noise[65536];
	int port;

	(void)mkdir("/dev", 0755);
	(void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	port = open_port();
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)rand();
	for (;;) {
#ifdef BAD_AGENT_MUTE
		(void)pause();
#else
		if (write(port, noise, sizeof(noise)) < 0)
			(void)usleep(10000);
#endif
	}
}
