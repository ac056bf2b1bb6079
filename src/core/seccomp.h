/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp.h - seccomp filters for containers, compiled on the host */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SECCOMP_PROFILE_RULES_MAX 4096

/* The built-in profile, from seccomp_default.c. names: separated by blanks. */
struct seccomp_block {
	const char *names;
	int cap;	 /* applies only with this capability; -1: always */
	int without_cap; /* applies only without this capability; -1: always */
	int arg;	 /* index of the compared argument; -1: none */
	int op;		 /* enum scmp_compare */
	uint64_t a, b;	 /* datum_a, datum_b */
	int errnum;	 /* 0: allow; else fail with this */
};
extern const struct seccomp_block seccomp_default_blocks[];
extern const size_t seccomp_default_blocks_n;

int seccomp_default_filter(uint64_t caps, void **ret_bpf, size_t *ret_len, struct err *err);
int seccomp_profile_filter(const json_t *profile, uint64_t caps, void **ret_bpf, size_t *ret_len,
			   struct err *err);
