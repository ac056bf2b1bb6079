/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl.c - libcurl, loaded when a registry is first spoken to
 *
 * Linked, it brings a dozen libraries along whose relocations alone are 3 MB of memory, a quarter
 * of what an idle daemon has; a daemon that only ever loads archives never needs them.
 */
#include "registry/curl.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/library.h"

static const char *const curl_libraries[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};

#define SYMBOL(name)                                                                               \
	{                                                                                          \
		"curl_" #name, offsetof(struct curl_api, name)                                     \
	}
static const struct library_symbol curl_symbols[] = {
	SYMBOL(global_init),	     SYMBOL(easy_init),	    SYMBOL(easy_setopt),
	SYMBOL(easy_getinfo),	     SYMBOL(easy_strerror), SYMBOL(easy_cleanup),
	SYMBOL(easy_reset),	     SYMBOL(easy_escape),   SYMBOL(free),
	SYMBOL(multi_init),	     SYMBOL(multi_setopt),  SYMBOL(multi_add_handle),
	SYMBOL(multi_remove_handle), SYMBOL(multi_perform), SYMBOL(multi_poll),
	SYMBOL(multi_info_read),     SYMBOL(multi_cleanup), SYMBOL(slist_append),
	SYMBOL(slist_free_all),
};

static struct curl_api curl_functions;
static pthread_mutex_t curl_lock = PTHREAD_MUTEX_INITIALIZER;
static bool curl_loaded;

static int curl_open(struct err *err)
{
	int r = library_load(curl_libraries, ARRAY_SIZE(curl_libraries), curl_symbols,
			     ARRAY_SIZE(curl_symbols), &curl_functions, err);

	if (r == -ENOENT)
		return err_user(err, ERR_INTERNAL,
				"cannot load libcurl; install the package libcurl3-gnutls");
	if (r < 0)
		return r;
	if (curl_functions.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_user(err, ERR_INTERNAL, "libcurl cannot be used");
	return 0;
}

/**
 * curl_load() - The library, loaded now if it was not before
 * @ret_api: Its functions; set on success
 * @err:     Filled on failure
 *
 * Any thread. It is never unloaded.
 *
 * Return: 0 or negative errno
 */
int curl_load(const struct curl_api **ret_api, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&curl_lock);
	if (!curl_loaded) {
		r = curl_open(err);
		curl_loaded = r == 0;
	}
	pthread_mutex_unlock(&curl_lock);
	if (r < 0)
		return r;
	*ret_api = &curl_functions;
	return 0;
}
