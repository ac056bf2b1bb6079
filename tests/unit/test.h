/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - plain test programs with TAP output
 *
 * TEST(name) { ... } registers a test; TEST_MAIN() runs them all in order. A failed ASSERT_*
 * reports file, line and both values and returns from the test, so that cleanup attributes run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*test_fn)(void);

struct test_case {
	const char *name;
	test_fn fn;
	struct test_case *next;
};

extern struct test_case *test_first, **test_last;
extern int test_failed;
extern const char *test_skip_reason;

#define TEST(name)                                                                                 \
	static void test_##name(void);                                                             \
	static struct test_case test_case_##name = {#name, test_##name, NULL};                     \
	__attribute__((constructor)) static void test_register_##name(void)                        \
	{                                                                                          \
		*test_last = &test_case_##name;                                                    \
		test_last = &test_case_##name.next;                                                \
	}                                                                                          \
	static void test_##name(void)

#define TEST_FAIL(...)                                                                             \
	do {                                                                                       \
		printf("# %s:%d: ", __FILE__, __LINE__);                                           \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		test_failed = 1;                                                                   \
		return;                                                                            \
	} while (0)
#define TEST_SKIP(reason)                                                                          \
	do {                                                                                       \
		test_skip_reason = (reason);                                                       \
		return;                                                                            \
	} while (0)
#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			TEST_FAIL("not true: %s", #cond);                                          \
	} while (0)
#define ASSERT_EQ(a, b)                                                                            \
	do {                                                                                       \
		long long _a = (long long)(a), _b = (long long)(b);                                \
		if (_a != _b)                                                                      \
			TEST_FAIL("%s is %lld, not %lld", #a, _a, _b);                             \
	} while (0)
#define ASSERT_STREQ(a, b)                                                                         \
	do {                                                                                       \
		const char *_a = (a), *_b = (b);                                                   \
		if (!_a || !_b || strcmp(_a, _b) != 0)                                             \
			TEST_FAIL("%s is \"%s\", not \"%s\"", #a, _a ? _a : "(null)",              \
				  _b ? _b : "(null)");                                             \
	} while (0)
#define ASSERT_OK(expr) ASSERT_EQ(expr, 0)
#define ASSERT_ERROR(expr, e) ASSERT_EQ(expr, -(e))

#define TEST_MAIN()                                                                                \
	struct test_case *test_first, **test_last = &test_first;                                   \
	int test_failed;                                                                           \
	const char *test_skip_reason;                                                              \
	int main(void)                                                                             \
	{                                                                                          \
		int n = 0, failures = 0;                                                           \
		for (struct test_case *t = test_first; t; t = t->next) {                           \
			test_failed = 0;                                                           \
			test_skip_reason = NULL;                                                   \
			t->fn();                                                                   \
			printf("%sok %d - %s%s%s\n", test_failed ? "not " : "", ++n, t->name,      \
			       test_skip_reason ? " # SKIP " : "",                                 \
			       test_skip_reason ? test_skip_reason : "");                          \
			fflush(stdout);                                                            \
			failures += test_failed;                                                   \
		}                                                                                  \
		printf("1..%d\n", n);                                                              \
		return failures ? 1 : 0;                                                           \
	}
