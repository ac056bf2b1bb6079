/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wireguard.c - the kernel's WireGuard interfaces, over generic netlink
 *
 * DOC: Theory of operation
 *
 * A private key is made of the kernel's random bytes, given to the kernel in one message, and wiped
 * from both places that had it. The public key is read back: the kernel computes it anyway. Nothing
 * else ever asks for a private key, and no key is logged.
 *
 * Format: linux/wireguard.h. Attributes of nested peers are limited to 64 KiB, so many peers go in
 * several messages; the kernel takes peers one by one and knows no transaction over them.
 */
#include "agent/wireguard.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#define WIREGUARD_KEY_MESSAGE_BYTES 512 /* more than one ever has */

static void wireguard_begin(struct netlink_batch *b, uint16_t family, uint8_t command,
			    uint16_t flags, unsigned int index)
{
	const struct genlmsghdr h = {.cmd = command, .version = WG_GENL_VERSION};

	netlink_begin(b, family, flags, &h, sizeof(h));
	netlink_put_u32(b, WGDEVICE_A_IFINDEX, index);
}

static const struct nlattr *wireguard_attribute(const struct nlmsghdr *m, uint16_t type)
{
	size_t skip = NLMSG_LENGTH(GENL_HDRLEN);

	if (m->nlmsg_len < skip)
		return NULL;
	return netlink_find((const char *)m + skip, m->nlmsg_len - skip, type);
}

static int wireguard_on_family(void *user, const struct nlmsghdr *message)
{
	const struct nlattr *id = wireguard_attribute(message, CTRL_ATTR_FAMILY_ID);

	if (!id || netlink_payload(id) != sizeof(uint16_t))
		return -EPROTO;
	memcpy(user, id + 1, sizeof(uint16_t));
	return 0;
}

/**
 * wireguard_open() - Find the kernel's WireGuard
 * @ret_wg: Set on success
 *
 * Return: 0, -ENOENT where the module is missing, or another negative errno
 */
int wireguard_open(struct wireguard *ret_wg)
{
	const struct genlmsghdr h = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
	_cleanup_batch_ struct netlink_batch b = {};
	struct wireguard wg = {.nl.fd = -EBADF};
	int r = netlink_open(NETLINK_GENERIC, &wg.nl);

	if (r < 0)
		return r;
	netlink_begin(&b, GENL_ID_CTRL, 0, &h, sizeof(h));
	netlink_put_str(&b, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	r = netlink_dump(&wg.nl, &b, wireguard_on_family, &wg.family);
	if (r < 0) {
		netlink_close(&wg.nl);
		return r;
	}
	*ret_wg = wg;
	return 0;
}

static int wireguard_make_key(uint8_t *key)
{
	size_t got = 0;

	while (got < WIREGUARD_KEY_LEN) {
		ssize_t n = getrandom(key + got, WIREGUARD_KEY_LEN - got, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		got += n > 0 ? (size_t)n : 0;
	}
	key[0] &= 248; /* RFC 7748, 5: decodeScalar25519 */
	key[31] = (key[31] & 127) | 64;
	return 0;
}

static int wireguard_on_public_key(void *user, const struct nlmsghdr *message)
{
	const struct nlattr *key = wireguard_attribute(message, WGDEVICE_A_PUBLIC_KEY);

	/* Further pieces of a dump have peers only. */
	if (key && netlink_payload(key) == WIREGUARD_KEY_LEN)
		memcpy(user, key + 1, WIREGUARD_KEY_LEN);
	return 0;
}

/**
 * wireguard_set_key() - Give an interface a new private key
 * @wg:		    WireGuard
 * @index:	    Interface
 * @port:	    UDP port it listens on
 * @ret_public_key: WIREGUARD_KEY_LEN bytes, set on success
 *
 * Peers stay. Their sessions are received on until they expire, but no longer sent on.
 *
 * Return: 0 or negative errno
 */
int wireguard_set_key(struct wireguard *wg, unsigned int index, uint16_t port,
		      uint8_t *ret_public_key)
{
	_cleanup_batch_ struct netlink_batch b = {};
	uint8_t key[WIREGUARD_KEY_LEN], public_key[WIREGUARD_KEY_LEN] = {0};
	static const uint8_t none[WIREGUARD_KEY_LEN];
	int r;

	/* Never moved while it grows: what is moved leaves a copy. */
	if (!buf_reserve(&b.bytes, WIREGUARD_KEY_MESSAGE_BYTES))
		return -ENOMEM;
	r = wireguard_make_key(key);
	if (r == 0) {
		wireguard_begin(&b, wg->family, WG_CMD_SET_DEVICE, 0, index);
		netlink_put(&b, WGDEVICE_A_PRIVATE_KEY, key, sizeof(key));
		netlink_put_u16(&b, WGDEVICE_A_LISTEN_PORT, port);
		r = netlink_send(&wg->nl, &b);
	}
	explicit_bzero(key, sizeof(key));
	if (r < 0)
		return r;
	wireguard_begin(&b, wg->family, WG_CMD_GET_DEVICE, NLM_F_DUMP, index);
	r = netlink_dump(&wg->nl, &b, wireguard_on_public_key, public_key);
	if (r == 0 && memcmp(public_key, none, sizeof(none)) == 0)
		r = -EPROTO;
	if (r == 0)
		memcpy(ret_public_key, public_key, sizeof(public_key));
	return r;
}

/**
 * wireguard_reset() - Forget an interface's key and all its peers
 * @wg:	   WireGuard
 * @index: Interface
 *
 * Return: 0 or negative errno
 */
int wireguard_reset(struct wireguard *wg, unsigned int index)
{
	static const uint8_t none[WIREGUARD_KEY_LEN]; /* zeros: no key */
	_cleanup_batch_ struct netlink_batch b = {};

	wireguard_begin(&b, wg->family, WG_CMD_SET_DEVICE, 0, index);
	netlink_put(&b, WGDEVICE_A_PRIVATE_KEY, none, sizeof(none));
	netlink_put_u32(&b, WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
	return netlink_send(&wg->nl, &b);
}

static void wireguard_put_endpoint(struct netlink_batch *b, const struct wireguard_peer *peer)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(peer->port)};

	memcpy(&sa.sin_addr, peer->endpoint->bytes, sizeof(sa.sin_addr));
	netlink_put(b, WGPEER_A_ENDPOINT, &sa, sizeof(sa));
}

static void wireguard_put_allowed(struct netlink_batch *b, const struct link_address *a)
{
	size_t entry;

	if (a->len == 0)
		return;
	entry = netlink_nest(b, 0);
	netlink_put_u16(b, WGALLOWEDIP_A_FAMILY, a->len == 4 ? AF_INET : AF_INET6);
	netlink_put(b, WGALLOWEDIP_A_IPADDR, a->bytes, a->len);
	netlink_put_u8(b, WGALLOWEDIP_A_CIDR_MASK, (uint8_t)(8 * a->len));
	netlink_unnest(b, entry);
}

static void wireguard_put_peer(struct netlink_batch *b, const struct wireguard_peer *peer)
{
	uint32_t flags = peer->remove ? WGPEER_F_REMOVE_ME : WGPEER_F_REPLACE_ALLOWEDIPS;
	size_t entry = netlink_nest(b, 0), allowed;

	netlink_put(b, WGPEER_A_PUBLIC_KEY, peer->public_key, WIREGUARD_KEY_LEN);
	netlink_put_u32(b, WGPEER_A_FLAGS, flags);
	if (!peer->remove) {
		wireguard_put_endpoint(b, peer);
		if (peer->keepalive_s >= 0)
			netlink_put_u16(b, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
					(uint16_t)peer->keepalive_s);
		allowed = netlink_nest(b, WGPEER_A_ALLOWEDIPS);
		wireguard_put_allowed(b, peer->allowed[0]);
		wireguard_put_allowed(b, peer->allowed[1]);
		netlink_unnest(b, allowed);
	}
	netlink_unnest(b, entry);
}

/**
 * wireguard_add_peer() - Add, change or remove a peer
 * @wg:	   WireGuard
 * @batch: Zero-initialised but for .index; done with wireguard_flush()
 * @peer:  What. Addresses that another peer has become this one's
 *
 * Return: 0, or negative errno of a message that had to be sent
 */
int wireguard_add_peer(struct wireguard *wg, struct wireguard_batch *batch,
		       const struct wireguard_peer *peer)
{
	int r = 0;

	if (batch->b.bytes.len > NETLINK_BATCH_BYTES)
		r = wireguard_flush(wg, batch);
	if (batch->peers == 0) {
		wireguard_begin(&batch->b, wg->family, WG_CMD_SET_DEVICE, 0, batch->index);
		batch->peers = netlink_nest(&batch->b, WGDEVICE_A_PEERS);
	}
	wireguard_put_peer(&batch->b, peer);
	return r;
}

/**
 * wireguard_flush() - Send what was added
 * @wg:	   WireGuard
 * @batch: Empty afterwards
 *
 * Return: 0 or negative errno
 */
int wireguard_flush(struct wireguard *wg, struct wireguard_batch *batch)
{
	if (batch->peers == 0)
		return 0;
	netlink_unnest(&batch->b, batch->peers);
	batch->peers = 0;
	return netlink_send(&wg->nl, &batch->b);
}
