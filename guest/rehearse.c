/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rehearse.c - what the container of a rehearsal runs: a little of what first containers do
 *
 * Each step has the guest's kernel run code that any program's first second runs: output, files in
 * the lower and the upper layer, private mappings of files, a child, pipes, the clock. Failures do
 * not matter; that the code ran does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REHEARSE_HEAP_BYTES (256 * 1024)

static void rehearse_files(const char *self)
{
	struct stat st;
	char text[256];
	int fd;

	(void)mkdir("/tmp", 01777);
	(void)stat("/etc/passwd", &st);
	(void)access("/nowhere/at/all", F_OK);
	fd = open("/etc/hosts", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text)) >= 0)
		(void)close(fd);
	fd = open("/tmp/rehearse", O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd >= 0 && write(fd, "x", 1) == 1 && fstat(fd, &st) == 0)
		(void)close(fd);
	(void)rename("/tmp/rehearse", "/tmp/rehearsed");
	(void)unlink("/tmp/rehearsed");
	fd = open(self, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		void *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

		if (at != MAP_FAILED) {
			memset(at, 1, 4096);
			(void)mprotect(at, 8192, PROT_READ);
			(void)munmap(at, 8192);
		}
		(void)close(fd);
	}
}

static void rehearse_child(const char *self)
{
	int pair[2], status;
	pid_t pid;
	char c;

	if (pipe(pair) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		(void)dup2(pair[1], STDOUT_FILENO);
		(void)close(pair[0]);
		(void)execl(self, "rehearse", "child", (char *)NULL);
		_exit(1);
	}
	(void)close(pair[1]);
	while (read(pair[0], &c, 1) == 1)
		;
	(void)close(pair[0]);
	(void)waitpid(pid, &status, 0);
}

int main(int argc, char **argv)
{
	char *heap = malloc(REHEARSE_HEAP_BYTES);
	struct timespec now, nap = {.tv_nsec = 1000000};
	struct utsname uts;

	if (heap)
		memset(heap, 1, REHEARSE_HEAP_BYTES);
	free(heap);
	(void)uname(&uts);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)printf("%s %lld %d\n", uts.release, (long long)now.tv_sec, (int)getpid());
	if (argc > 1)
		return 0;
	(void)fprintf(stderr, "rehearsing\n");
	rehearse_files(argv[0]);
	rehearse_child(argv[0]);
	(void)nanosleep(&nap, NULL);
	return 0;
}
