/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listen.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "test.h"

TEST_MAIN()

/* Goal: a unix socket is private from its first moment, replaces a stale one, and never a live one.
 */
TEST(listen_unix_is_private_and_exclusive)
{
	struct listen_socket s[LISTEN_FDS_MAX] = {0}, other[LISTEN_FDS_MAX] = {0};
	char dir[] = "/tmp/arca-listen-XXXXXX", host[96], path[64];
	struct err err = {0};
	struct stat st;
	int n = 0, m = 0;

	ASSERT(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/s.sock", dir);
	(void)snprintf(host, sizeof(host), "unix://%s", path);
	ASSERT_OK(listen_open(host, NULL, false, s, &n, &err));
	ASSERT_OK(stat(path, &st));
	ASSERT_EQ(st.st_mode & 0777, 0660);
	ASSERT(listen_open(host, NULL, false, other, &m, &err) < 0);
	ASSERT_EQ(err.kind, ERR_CONFLICT);
	(void)close(s[0].fd);
	s[0].fd = -1; /* now stale */
	ASSERT_OK(listen_open(host, NULL, false, other, &m, &err));
	free(s[0].path);
	listen_close(other, m);
	ASSERT(stat(path, &st) < 0);
	(void)rmdir(dir);
}

/* Goal: nobody becomes root through an open port by mistake. */
TEST(listen_tcp_needs_tls_beyond_loopback)
{
	static const char *const bad[] = {"tcp://0.0.0.0:0", "tcp://[::]:0",	"tcp://127.0.0.1",
					  "http://x",	     "unix://relative", "fd://"};
	struct listen_socket s[LISTEN_FDS_MAX] = {0};
	struct err err = {0};
	int n = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT(listen_open(bad[i], NULL, false, s, &n, &err) < 0);
	ASSERT_EQ(n, 0);
	ASSERT_OK(listen_open("tcp://127.0.0.1:0", NULL, false, s, &n, &err));
	ASSERT_OK(listen_open("tcp://0.0.0.0:0", NULL, true, s, &n, &err));
	ASSERT(s[0].tcp);
	listen_close(s, n);
}
