/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl.c - libcurl, loaded when a registry is first spoken to
 *
 * Linked, it brings a dozen libraries along whose relocations alone are 3 MB of memory, a quarter
 * of what an idle daemon has; a daemon that only ever loads archives never needs them. The headers
 * check the types; only the addresses are found at run time.
 */
#include "registry/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static const char *const curl_libraries[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};

#define SYMBOL(name)                                                                               \
	{                                                                                          \
		"curl_" #name, offsetof(struct curl_api, name)                                     \
	}
static const struct {
	const char *name;
	size_t offset;
} curl_symbols[] = {
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

static int curl_find(void *library, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(curl_symbols); i++) {
		void *symbol = dlsym(library, curl_symbols[i].name);

		if (!symbol)
			return err_user(err, ERR_INTERNAL, "this libcurl is too old: no %s",
					curl_symbols[i].name);
		*(void **)((char *)&curl_functions + curl_symbols[i].offset) = symbol;
	}
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
	void *library = NULL;
	int r = 0;

	pthread_mutex_lock(&curl_lock);
	if (!curl_loaded) {
		for (size_t i = 0; i < ARRAY_SIZE(curl_libraries) && !library; i++)
			library = dlopen(curl_libraries[i], RTLD_NOW | RTLD_LOCAL);
		r = library ? curl_find(library, err)
			    : err_user(err, ERR_INTERNAL,
				       "cannot load libcurl; install the package libcurl3-gnutls");
		curl_loaded = r == 0;
	}
	pthread_mutex_unlock(&curl_lock);
	if (r < 0)
		return r;
	*ret_api = &curl_functions;
	return 0;
}
