/* SPDX-License-Identifier: Apache-2.0 */
/* container_signal.c - signals as clients write them: names with or without SIG, numbers, RTMIN+n
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "core/containers.h"

/* The guest's numbers: kernel's, where the first two real-time signals are not the C library's. */
#define SIGNAL_RTMIN 34
#define SIGNAL_RTMAX 64

static const struct {
	const char *name;
	int signo;
} signal_names[] = {
	{"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"BUS", SIGBUS},	     {"CHLD", SIGCHLD},
	{"CLD", SIGCHLD},  {"CONT", SIGCONT}, {"FPE", SIGFPE},	     {"HUP", SIGHUP},
	{"ILL", SIGILL},   {"INT", SIGINT},   {"IO", SIGIO},	     {"IOT", SIGIOT},
	{"KILL", SIGKILL}, {"PIPE", SIGPIPE}, {"POLL", SIGPOLL},     {"PROF", SIGPROF},
	{"PWR", SIGPWR},   {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},     {"STKFLT", SIGSTKFLT},
	{"STOP", SIGSTOP}, {"SYS", SIGSYS},   {"TERM", SIGTERM},     {"TRAP", SIGTRAP},
	{"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},
	{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH},
	{"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
};

/* RTMIN, RTMIN+n, RTMAX, RTMAX-n */
static int signal_parse_realtime(const char *s, int *ret_signo)
{
	bool min = strncasecmp(s, "RTMIN", 5) == 0;
	uint64_t n = 0;

	if (!min && strncasecmp(s, "RTMAX", 5) != 0)
		return -EINVAL;
	s += 5;
	if (*s && (*s != (min ? '+' : '-') || str_u64(s + 1, SIGNAL_RTMAX - SIGNAL_RTMIN, &n) < 0))
		return -EINVAL;
	*ret_signo = min ? SIGNAL_RTMIN + (int)n : SIGNAL_RTMAX - (int)n;
	return 0;
}

/**
 * container_signal_parse() - Number of a signal
 * @text:      "SIGTERM", "term", "15", "SIGRTMIN+3"
 * @ret_signo: Set on success
 *
 * Return: 0, or -EINVAL (0 and numbers above 64 as well)
 */
int container_signal_parse(const char *text, int *ret_signo)
{
	uint64_t n;

	if (str_u64(text, SIGNAL_RTMAX, &n) == 0) {
		if (n == 0)
			return -EINVAL;
		*ret_signo = (int)n;
		return 0;
	}
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < ARRAY_SIZE(signal_names); i++) {
		if (strcasecmp(text, signal_names[i].name) == 0) {
			*ret_signo = signal_names[i].signo;
			return 0;
		}
	}
	return signal_parse_realtime(text, ret_signo);
}
