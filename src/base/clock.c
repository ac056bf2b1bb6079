/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - clocks and RFC 3339 / Docker timestamp texts (all times UTC, nanoseconds) */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Docker's zero time, "0001-01-01T00:00:00Z", as it shows it for "never". */
#define CLOCK_ZERO_TEXT "0001-01-01T00:00:00Z"

/**
 * clock_realtime_ns() - Wall clock
 *
 * Return: nanoseconds since the epoch
 */
int64_t clock_realtime_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/**
 * clock_monotonic_ns() - Clock for intervals and deadlines
 *
 * Return: nanoseconds since an arbitrary start
 */
int64_t clock_monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/**
 * clock_us() - Clock for intervals, in microseconds
 *
 * Return: microseconds since an arbitrary start
 */
uint64_t clock_us(void)
{
	return (uint64_t)clock_monotonic_ns() / 1000;
}

/**
 * clock_format_rfc3339() - Text of a time as Go's RFC3339Nano prints it, in UTC
 * @ns:	 Nanoseconds since the epoch; 0 gives Docker's zero time (year 1)
 * @buf: Receives the NUL-terminated text
 */
void clock_format_rfc3339(int64_t ns, char buf[static CLOCK_RFC3339_MAX])
{
	time_t sec = (time_t)(ns / NSEC_PER_SEC);
	long frac = (long)(ns % NSEC_PER_SEC);
	struct tm tm;
	size_t n;

	if (ns == 0) {
		strcpy(buf, CLOCK_ZERO_TEXT);
		return;
	}
	if (frac < 0) {
		frac += NSEC_PER_SEC;
		sec--;
	}
	gmtime_r(&sec, &tm);
	n = strftime(buf, CLOCK_RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	if (frac) {
		n += (size_t)snprintf(buf + n, CLOCK_RFC3339_MAX - n, ".%09ld", frac);
		while (buf[n - 1] == '0')
			n--;
	}
	buf[n++] = 'Z';
	buf[n] = '\0';
}

/* Fraction digits after the point -> nanoseconds; at most nine count. */
static const char *clock_parse_fraction(const char *s, long *ret_frac)
{
	long frac = 0, scale = NSEC_PER_SEC / 10;

	for (; isdigit((unsigned char)*s); s++) {
		frac += (*s - '0') * scale;
		scale /= 10;
	}
	*ret_frac = frac;
	return s;
}

/**
 * clock_parse_rfc3339() - Time from RFC 3339 text, or its date-only and zone-less forms
 * @s:	    "2006-01-02[T15:04[:05[.999999999]]][Z|+hh:mm]"
 * @ret_ns: Nanoseconds since the epoch; set on success
 *
 * Return: 0, or -EINVAL
 */
int clock_parse_rfc3339(const char *s, int64_t *ret_ns)
{
	struct tm tm = {.tm_mday = 1};
	int year, month, used = 0, oh, om;
	long frac = 0, offset = 0;

	if (sscanf(s, "%4d-%2d-%2d%n", &year, &month, &tm.tm_mday, &used) != 3 || used == 0)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	s += used;
	if (*s == 'T' || *s == ' ') {
		used = 0;
		if (sscanf(s + 1, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &used) != 2 || used == 0)
			return -EINVAL;
		s += 1 + used;
		if (*s == ':') {
			used = 0;
			if (sscanf(s + 1, "%2d%n", &tm.tm_sec, &used) != 1 || used == 0)
				return -EINVAL;
			s += 1 + used;
		}
		if (*s == '.')
			s = clock_parse_fraction(s + 1, &frac);
	}
	if (*s == 'Z') {
		s++;
	} else if (*s == '+' || *s == '-') {
		used = 0;
		if (sscanf(s + 1, "%2d:%2d%n", &oh, &om, &used) != 2 || used == 0)
			return -EINVAL;
		offset = (*s == '-' ? -1 : 1) * (oh * 3600L + om * 60L);
		s += 1 + used;
	}
	if (*s || month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 24 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	*ret_ns = ((int64_t)timegm(&tm) - offset) * NSEC_PER_SEC + frac;
	return 0;
}

/* Go duration ("1h30m", "1.5s", "10ms") in nanoseconds; -EINVAL if it is not one. */
static int clock_parse_duration(const char *s, int64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}};
	double total = 0, sign = 1;

	if (*s == '-' || *s == '+')
		sign = *s++ == '-' ? -1 : 1;
	if (!*s)
		return -EINVAL;
	while (*s) {
		char *end;
		double v;
		size_t i;

		if (!isdigit((unsigned char)*s) && *s != '.')
			return -EINVAL;
		v = strtod(s, &end);
		if (end == s)
			return -EINVAL;
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			if (strncmp(end, units[i].unit, strlen(units[i].unit)) == 0)
				break;
		}
		if (i == sizeof(units) / sizeof(units[0]))
			return -EINVAL;
		total += v * units[i].ns;
		s = end + strlen(units[i].unit);
	}
	if (total > 9e18)
		return -EINVAL;
	*ret_ns = (int64_t)(sign * total);
	return 0;
}

/**
 * clock_parse_timestamp() - Time as `since` and `until` parameters carry it
 * @s:	    "<seconds>[.<fraction>]", RFC 3339, or a Go duration before @now_ns
 * @now_ns: The present, for durations
 * @ret_ns: Nanoseconds since the epoch; set on success
 *
 * Return: 0, or -EINVAL
 */
int clock_parse_timestamp(const char *s, int64_t now_ns, int64_t *ret_ns)
{
	const char *p = s + (*s == '-');
	int64_t sec = 0, ago;
	long frac = 0;

	if (isdigit((unsigned char)*p)) {
		for (; isdigit((unsigned char)*p); p++) {
			if (sec > INT64_MAX / NSEC_PER_SEC / 10)
				return -EINVAL;
			sec = sec * 10 + (*p - '0');
		}
		if (*p == '.')
			p = clock_parse_fraction(p + 1, &frac);
		if (!*p) {
			if (sec > INT64_MAX / NSEC_PER_SEC - 1)
				return -EINVAL;
			*ret_ns = (sec * NSEC_PER_SEC + frac) * (*s == '-' ? -1 : 1);
			return 0;
		}
	}
	if (clock_parse_duration(s, &ago) == 0) {
		*ret_ns = now_ns - ago;
		return 0;
	}
	return clock_parse_rfc3339(s, ret_ns);
}
