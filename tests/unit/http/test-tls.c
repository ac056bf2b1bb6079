/* SPDX-License-Identifier: Apache-2.0 */
/* TLS with client certificates over TCP: who gets in, and hijacked connections through it. */
#include "http/http.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "client.h"
#include "test.h"

TEST_MAIN()

struct identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	char key_pem[4096], crt_pem[4096];
};

static struct identity ca, other_ca, server_id, client_id, stranger_id;

/* issuer NULL: its own authority */
static void identity_make(struct identity *id, struct identity *issuer, const char *purpose)
{
	size_t len;

	gnutls_x509_privkey_init(&id->key);
	gnutls_x509_privkey_generate(id->key, GNUTLS_PK_ECDSA,
				     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_init(&id->crt);
	gnutls_x509_crt_set_version(id->crt, 3);
	gnutls_x509_crt_set_serial(id->crt, &(char){purpose ? 2 : 1}, 1);
	gnutls_x509_crt_set_activation_time(id->crt, time(NULL) - 3600);
	gnutls_x509_crt_set_expiration_time(id->crt, time(NULL) + 3600);
	gnutls_x509_crt_set_dn_by_oid(id->crt, GNUTLS_OID_X520_COMMON_NAME, 0,
				      purpose ? "leaf" : "ca", purpose ? 4 : 2);
	gnutls_x509_crt_set_key(id->crt, id->key);
	if (purpose)
		gnutls_x509_crt_set_key_purpose_oid(id->crt, purpose, 0);
	else
		gnutls_x509_crt_set_basic_constraints(id->crt, 1, -1);
	gnutls_x509_crt_set_key_usage(id->crt, purpose ? GNUTLS_KEY_DIGITAL_SIGNATURE
						       : GNUTLS_KEY_KEY_CERT_SIGN);
	gnutls_x509_crt_sign2(id->crt, issuer ? issuer->crt : id->crt,
			      issuer ? issuer->key : id->key, GNUTLS_DIG_SHA256, 0);
	len = sizeof(id->key_pem) - 1;
	gnutls_x509_privkey_export(id->key, GNUTLS_X509_FMT_PEM, id->key_pem, &len);
	len = sizeof(id->crt_pem) - 1;
	gnutls_x509_crt_export(id->crt, GNUTLS_X509_FMT_PEM, id->crt_pem, &len);
}

__attribute__((constructor)) static void identities_make(void)
{
	identity_make(&ca, NULL, NULL);
	identity_make(&other_ca, NULL, NULL);
	identity_make(&server_id, &ca, GNUTLS_KP_TLS_WWW_SERVER);
	identity_make(&client_id, &ca, GNUTLS_KP_TLS_WWW_CLIENT);
	identity_make(&stranger_id, &other_ca, GNUTLS_KP_TLS_WWW_CLIENT);
}

static int hook_route(struct http_req *req, enum http_mode *ret_mode, void **ret_route UNUSED)
{
	*ret_mode = str_eq(req->path, "/ping") ? HTTP_INLINE : HTTP_STREAM;
	return 0;
}

static int hook_handle(struct http_req *req, void *route UNUSED)
{
	_cleanup_close_ int fd = -EBADF;
	char data[4096];
	size_t total = 0;
	ssize_t n;

	if (str_eq(req->path, "/ping"))
		return http_resp_data(req, 200, NULL, "OK", 2);
	if (http_hijack(req, NULL, &fd) < 0)
		return -EPIPE;
	while ((n = read(fd, data, sizeof(data))) > 0) {
		(void)send(fd, data, (size_t)n, MSG_NOSIGNAL);
		total += (size_t)n;
		if (memmem(data, (size_t)n, "quit", 4))
			break;
	}
	(void)dprintf(fd, "END %zu", total);
	return 0;
}

static void hook_error(struct http_req *req)
{
	(void)http_resp_empty(req, 500);
}

struct fixture {
	struct http_server *server;
	int port;
};

static struct fixture fixture_new(void)
{
	static const struct http_hooks hooks = {hook_route, hook_handle, hook_error};
	struct http_tls tls = {server_id.crt_pem, server_id.key_pem, ca.crt_pem};
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct fixture f = {0};
	struct err err = {0};

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    http_server_new(&hooks, NULL, &f.server) < 0 ||
	    http_server_listen(f.server, (struct http_listener){.fd = fd, .tls = true}, &tls,
			       &err) < 0)
		abort();
	f.port = ntohs(addr.sin_port);
	return f;
}

static void fixture_done(struct fixture *f)
{
	http_server_stop(f->server);
	http_server_free(f->server);
}

#define FIXTURE(f) _cleanup_(fixture_done) struct fixture f = fixture_new()

struct client {
	int fd;
	gnutls_session_t tls;
	gnutls_certificate_credentials_t cred;
};

static void client_open(struct client *c, const struct fixture *f, struct identity *id)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)f->port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	gnutls_certificate_allocate_credentials(&c->cred);
	if (id)
		gnutls_certificate_set_x509_key(c->cred, &id->crt, 1, id->key);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		abort();
	gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
	gnutls_set_default_priority(c->tls);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->cred);
	gnutls_transport_set_int(c->tls, c->fd);
	gnutls_handshake_set_timeout(c->tls, 5000);
	gnutls_record_set_timeout(c->tls, 5000);
}

static void client_done(struct client *c)
{
	gnutls_deinit(c->tls);
	gnutls_certificate_free_credentials(c->cred);
	close(c->fd);
}

#define CLIENT(c, f, id)                                                                           \
	_cleanup_(client_done) struct client c = {.fd = -EBADF};                                   \
	client_open(&c, &f, id)

static bool client_say(struct client *c, const char *text)
{
	return gnutls_record_send(c->tls, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool client_hear(struct client *c, struct buf *b, const char *text)
{
	char data[4096];

	while (!text || !b->data || !strstr(b->data, text)) {
		ssize_t n = gnutls_record_recv(c->tls, data, sizeof(data));

		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n <= 0)
			return !text;
		buf_add(b, data, (size_t)n);
	}
	return true;
}

/* Goal: a certificate of our authority opens the door. */
TEST(known_client)
{
	FIXTURE(f);
	CLIENT(c, f, &client_id);
	_cleanup_buf_ struct buf b = {0};

	ASSERT_OK(gnutls_handshake(c.tls));
	ASSERT(client_say(&c, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_hear(&c, &b, "\r\n\r\nOK"));
}

static void refused(struct fixture *f, struct identity *id, bool *ret_refused)
{
	CLIENT(c, (*f), id);
	_cleanup_buf_ struct buf b = {0};

	/* TLS 1.3: the client may believe the handshake is done; the server still says no. */
	*ret_refused = gnutls_handshake(c.tls) < 0 ||
		       !client_say(&c, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n") ||
		       !client_hear(&c, &b, "OK");
}

/* Goal: no certificate, a foreign one, or one that is not for clients: no answer at all. */
TEST(unknown_clients)
{
	FIXTURE(f);
	bool no[3] = {0};

	refused(&f, NULL, &no[0]);
	refused(&f, &stranger_id, &no[1]);
	refused(&f, &server_id, &no[2]);
	ASSERT(no[0]);
	ASSERT(no[1]);
	ASSERT(no[2]);
}

/* Goal: hijacked with 101, both directions. */
TEST(hijack_with_upgrade)
{
	FIXTURE(f);
	CLIENT(c, f, &client_id);
	_cleanup_buf_ struct buf b = {0};

	ASSERT_OK(gnutls_handshake(c.tls));
	ASSERT(client_say(&c, "POST /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
			      "tcp\r\n\r\n"));
	ASSERT(client_hear(&c, &b, "\r\n\r\n"));
	ASSERT(str_starts(b.data, "HTTP/1.1 101 "));
	ASSERT(strstr(b.data, "Upgrade: tcp\r\n"));
	ASSERT(client_say(&c, "quit"));
	ASSERT(client_hear(&c, &b, "END 4"));
	ASSERT(client_hear(&c, &b, NULL));
}

/* Goal: the same without Upgrade, and half-close. */
TEST(hijack_without_upgrade)
{
	FIXTURE(f);
	CLIENT(c, f, &client_id);
	_cleanup_buf_ struct buf b = {0};

	ASSERT_OK(gnutls_handshake(c.tls));
	ASSERT(client_say(&c, "POST /x HTTP/1.1\r\nHost: x\r\n\r\n"));
	ASSERT(client_hear(&c, &b, "\r\n\r\n"));
	ASSERT(str_starts(b.data, "HTTP/1.1 200 OK\r\n"));
	ASSERT(client_say(&c, "hello"));
	ASSERT(client_hear(&c, &b, "hello"));
	ASSERT_OK(gnutls_bye(c.tls, GNUTLS_SHUT_WR));
	ASSERT(client_hear(&c, &b, "END 5"));
	ASSERT(client_hear(&c, &b, NULL));
}

/* Goal: stopping with an open hijacked TLS connection ends in time. */
TEST(stop_with_a_hijacked_client)
{
	struct fixture f = fixture_new();
	CLIENT(c, f, &client_id);
	_cleanup_buf_ struct buf b = {0};
	int64_t start;

	ASSERT_OK(gnutls_handshake(c.tls));
	ASSERT(client_say(&c, "POST /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
			      "tcp\r\n\r\n"));
	ASSERT(client_hear(&c, &b, "\r\n\r\n"));
	close(c.fd); /* gone without a word */
	c.fd = -EBADF;
	usleep(50000);
	start = clock_monotonic_ns();
	fixture_done(&f);
	ASSERT(clock_monotonic_ns() - start < 5 * NSEC_PER_SEC);
}
