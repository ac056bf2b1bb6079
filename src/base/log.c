/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - `time="..." level=info msg="..."` lines, one write(2) each, on stderr */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_LINE_MAX 2048

static _Atomic int log_threshold = LOG_INFO;
static const char *const log_names[] = {"debug", "info", "warning", "error", "fatal"};

/**
 * log_set_level() - Drop lines below @level from now on
 * @level: Lowest level that is written
 */
void log_set_level(enum log_level level)
{
	log_threshold = level;
}

/**
 * log_get_level() - The lowest level that is written
 *
 * Return: the level
 */
enum log_level log_get_level(void)
{
	return (enum log_level)log_threshold;
}

/**
 * log_level_parse() - Level from its dockerd name
 * @name:      "debug", "info", "warn" or "warning", "error", "fatal"
 * @ret_level: Set on success
 *
 * Return: 0, or -EINVAL for a name that is none of these
 */
int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(log_names); i++) {
		if (strcmp(name, log_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	if (strcmp(name, "warn") == 0) {
		*ret_level = LOG_WARN;
		return 0;
	}
	return -EINVAL;
}

/* Copy @in into @out quoted as logfmt wants it: no newline or quote can forge a second field. */
static size_t log_quote(char *out, size_t max, const char *in)
{
	size_t n = 0;

	for (; *in && n + 5 < max; in++) {
		unsigned char c = (unsigned char)*in;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c == '\n') {
			out[n++] = '\\';
			out[n++] = 'n';
		} else if (c < 0x20 || c == 0x7f) {
			n += (size_t)snprintf(out + n, max - n, "\\x%02x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n] = '\0';
	return n;
}

/**
 * log_write() - Write one line to stderr if @level passes the threshold
 * @level: Severity
 * @fmt:   Message, printf style; cut at about 2 KiB
 *
 * Safe from any thread; keeps errno.
 */
void log_write(enum log_level level, const char *fmt, ...)
{
	char msg[LOG_LINE_MAX / 2], quoted[LOG_LINE_MAX], line[LOG_LINE_MAX + 128];
	char when[CLOCK_RFC3339_MAX];
	int saved = errno, n;
	va_list ap;

	if ((int)level < log_threshold)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap); /* cutting is fine */
	va_end(ap);
	(void)log_quote(quoted, sizeof(quoted), msg);
	clock_format_rfc3339(clock_realtime_ns(), when);
	n = snprintf(line, sizeof(line), "time=\"%s\" level=%s msg=\"%s\"\n", when,
		     log_names[level], quoted);
	if (n > 0) {
		ssize_t w = write(STDERR_FILENO, line, (size_t)n);

		(void)w; /* a full stderr must not stop the daemon */
	}
	errno = saved;
}
