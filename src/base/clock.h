/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - time in nanoseconds, and the texts in which Docker's API carries it */
#pragma once

#include <stdint.h>

#define CLOCK_RFC3339_MAX 40
#define NSEC_PER_SEC 1000000000LL
#define NSEC_PER_MSEC 1000000LL

int64_t clock_realtime_ns(void);
int64_t clock_monotonic_ns(void);
uint64_t clock_us(void);
void clock_format_rfc3339(int64_t ns, char buf[static CLOCK_RFC3339_MAX]);
int clock_parse_rfc3339(const char *s, int64_t *ret_ns);
int clock_parse_timestamp(const char *s, int64_t now_ns, int64_t *ret_ns);
