/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underlay_rules.c - the one rule set of the namespace, and who may reach the host
 *
 * DOC: Theory of operation
 *
 * The rules know interfaces, not VMs: a packet from a tap must have a source address that is routed
 * to that tap (both families), so addresses are as good as interface names afterwards. The table is
 * replaced as a whole in one transaction; connections that exist live on. The set hostgw has the
 * taps of VMs that asked for the host; it is read back before a reload. A name in it survives its
 * tap, so underlay_tap_make() takes it away before an index is used again.
 *
 * WireGuard's packets between VMs are not tracked: no VM can fill the connection table with them.
 * New connections to the outside are counted by source.
 *
 * pasta binds a datagram's source port on the host, and keeps it for minutes. So a container's own
 * would be taken from who publishes it, and a published one could not be sent from: UDP leaves from
 * ports of which nobody expects to be free (RFC 6335: dynamic), more than a VM may have
 * connections, and from a random one: no container chooses which of them is taken on the host.
 *
 * vn* are the bridges of networks without encryption (vmnet.c), of which only those of one group
 * lead outside. What passes within one is not seen here. Their members call the host by an address
 * that is not the underlay's; what is marked is translated. (In a VM on the mesh its kernel does.)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "base/str.h"
#include "net/underlay_impl.h"
#include "net/vmnet.h"

#define RULES_NFT_PATH "/usr/sbin/nft" /* where a user's PATH does not lead */
#define RULES_OUTPUT_MAX MIB(1)
#define RULES_RESOLV_MAX KIB(64)

/* %s: the elements of hostgw, and what becomes of DNS over TCP. nft(8) says what the words mean. */
static const char rules_text[] =
	"table inet arca\n"
	"delete table inet arca\n"
	"table inet arca {\n"
	"	set hostgw { type ifname; %s }\n"
	"	set flows4 { type ipv4_addr; size 65535; flags dynamic; }\n"
	"	set flows6 { type ipv6_addr; size 65535; flags dynamic; }\n"
	"	chain prerouting {\n"
	"		type filter hook prerouting priority raw; policy accept;\n"
	"		iifname \"vn*\" fib saddr . iif oif missing drop\n"
	"		iifname != \"a*\" return\n"
	"		fib saddr . iif oif missing drop\n"
	"		ip daddr 198.18.0.0/16 notrack\n"
	"		ip6 daddr fd61:7263:6100::/48 notrack\n"
	"	}\n"
	"	chain output {\n"
	"		type filter hook output priority raw; policy accept;\n"
	"		oifname \"a*\" notrack\n"
	"	}\n"
	"	chain input {\n"
	"		type filter hook input priority filter; policy drop;\n"
	"		iif lo accept\n"
	"		iifname \"a*\" goto from_vm\n"
	"		ct state established,related accept\n"
	"		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
	"		iifname \"vn*\" goto from_vmnet\n"
	"	}\n"
	"	chain from_vmnet {\n"
	"		fib daddr . iif type != local drop\n"
	"		icmp type echo-request accept\n"
	"		icmpv6 type echo-request accept\n"
	"		drop\n"
	"	}\n"
	"	chain from_vm {\n"
	"		icmp type { echo-request, destination-unreachable, time-exceeded, "
	"parameter-problem } accept\n"
	"		icmpv6 type { echo-request, destination-unreachable, packet-too-big, "
	"time-exceeded, parameter-problem, nd-neighbor-solicit, nd-neighbor-advert } accept\n"
	"		tcp dport 10000-51819 tcp flags & (syn | ack) != syn accept\n"
	"		udp dport 10000-51819 accept\n"
	"		drop\n"
	"	}\n"
	"	chain forward {\n"
	"		type filter hook forward priority filter; policy drop;\n"
	"		iifname \"a*\" oifname \"a*\" udp sport 51820-52075 udp dport 51820-52075 "
	"accept\n"
	"		iifname \"a*\" oifname \"up0\" goto out\n"
	"		iifname \"vn*\" iifgroup " VMNET_GROUP_OUT_TEXT
	" oifname \"up0\" goto out\n"
	"		iifname \"up0\" oifname \"a*\" ct state established,related accept\n"
	"		iifname \"up0\" oifname \"vn*\" ct state established,related accept\n"
	"	}\n"
	"	chain out {\n"
	"		ct state established,related accept\n"
	"		ct state invalid drop\n"
	"		add @flows4 { ip saddr ct count over 8192 } drop\n"
	"		add @flows6 { ip6 saddr ct count over 8192 } drop\n"
	"		ip daddr 198.19.255.3 udp dport 53 accept\n"
	"		ip daddr 198.19.255.1 iifname @hostgw accept\n"
	"		ip daddr 198.19.255.1 meta mark " VMNET_MARK_HOST_TEXT " accept\n"
	"		ip6 daddr fd61:7263:61ff::1 iifname @hostgw accept\n"
	"		ip6 daddr fd61:7263:61ff::1 meta mark " VMNET_MARK_HOST_TEXT " accept\n"
	"		ip daddr { 0.0.0.0/8, 127.0.0.0/8, 198.18.0.0/15, 224.0.0.0/3 } reject "
	"with "
	"icmp admin-prohibited\n"
	"		ip6 daddr fd61:7263:6100::/40 reject with icmpv6 admin-prohibited\n"
	"		ip6 daddr { 2000::/3, fc00::/7, 64:ff9b::/96 } accept\n"
	"		meta nfproto ipv6 reject with icmpv6 admin-prohibited\n"
	"		accept\n"
	"	}\n"
	"	chain destinations {\n"
	"		type nat hook prerouting priority dstnat; policy accept;\n"
	"		iifname \"vn*\" meta mark " VMNET_MARK_HOST_TEXT
	" meta nfproto ipv4 dnat ip to 198.19.255.1\n"
	"		iifname \"vn*\" meta mark " VMNET_MARK_HOST_TEXT
	" meta nfproto ipv6 dnat ip6 to fd61:7263:61ff::1\n"
	"		%s\n"
	"	}\n"
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat; policy accept;\n"
	"		oifname \"up0\" meta l4proto udp masquerade to :49152-65535 fully-random\n"
	"		oifname \"up0\" masquerade\n"
	"	}\n"
	"}\n";

bool underlay_is_host_gateway(const struct underlay *u, uint16_t index)
{
	return u->host_gateway[index / 8] & (1U << (index % 8));
}

static void rules_remember(struct underlay *u, uint16_t index, bool on)
{
	uint8_t bit = (uint8_t)(1U << (index % 8));

	if (on)
		u->host_gateway[index / 8] |= bit;
	else
		u->host_gateway[index / 8] &= (uint8_t)~bit;
}

static int rules_spawn(const struct underlay *u, const char *const *words, int in_fd, int out_fd,
		       pid_t *ret_pid)
{
	const char *argv[8] = {u->nft ? u->nft : "nft"};
	struct spawn_spec spec = {
		.argv = argv, .stdin_fd = in_fd, .stdout_fd = out_fd, .stderr_fd = out_fd};
	int r;

	for (size_t i = 0; words[i] && i + 2 < ARRAY_SIZE(argv); i++)
		argv[i + 1] = words[i];
	r = spawn_process(&spec, ret_pid, NULL);
	if (r == -ENOENT && !u->nft) {
		argv[0] = RULES_NFT_PATH;
		r = spawn_process(&spec, ret_pid, NULL);
	}
	return r;
}

/* What it says, errors included; nft reads all of its input before it says anything. */
static int rules_talk(int in_fd, int out_fd, const char *input, struct buf *output)
{
	char data[4096];
	int r = input ? fs_write_all(in_fd, input, strlen(input)) : 0;

	(void)close(in_fd); /* a pipe */
	for (;;) {
		ssize_t n = fs_read_full(out_fd, data, sizeof(data));

		if (n <= 0)
			return n < 0 ? (int)n : r;
		if (output->len < RULES_OUTPUT_MAX)
			buf_add(output, data, (size_t)n);
	}
}

/**
 * underlay_rules_run() - Run nft
 * @u:	    Underlay; its thread is in the namespace
 * @words:  Arguments, NULL-terminated, six at most
 * @input:  What it reads, or NULL
 * @output: Gets what it says
 * @err:    Filled on failure; names the package that is missing
 *
 * Return: 0, or negative errno
 */
int underlay_rules_run(const struct underlay *u, const char *const *words, const char *input,
		       struct buf *output, struct err *err)
{
	_cleanup_close_ int in_read = -EBADF, in_write = -EBADF, out_read = -EBADF,
			    out_write = -EBADF;
	int pipe_in[2], pipe_out[2], status, r;
	pid_t pid;

	if (pipe2(pipe_in, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "cannot make a pipe for nft");
	in_read = pipe_in[0];
	in_write = pipe_in[1];
	if (pipe2(pipe_out, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "cannot make a pipe for nft");
	out_read = pipe_out[0];
	out_write = pipe_out[1];
	r = rules_spawn(u, words, in_read, out_write, &pid);
	if (r == -ENOENT)
		return err_user(err, ERR_UNAVAILABLE,
				"nft is not installed, and containers need it for their network: "
				"install the package nftables");
	if (r < 0)
		return err_sys(err, r, "cannot start nft");
	cleanup_close(&in_read);
	cleanup_close(&out_write);
	in_read = out_write = -EBADF;
	r = rules_talk(TAKE_FD(in_write), out_read, input, output);
	(void)spawn_wait(pid, &status); /* a child of ours: only EINTR, which it handles */
	if (status != 0)
		return err_sys(err, -EIO, "nft refuses the underlay's rules: %.*s",
			       output->len > 400 ? 400 : (int)output->len,
			       output->len ? output->data : "");
	return r < 0 ? err_sys(err, r, "cannot talk to nft") : 0;
}

/* Members of the set as the kernel has it, from nft's text: elements = { "a5", "a7" }. */
static void rules_read_members(struct underlay *u)
{
	static const char *const words[] = {"list", "set", "inet", "arca", "hostgw", NULL};
	_cleanup_buf_ struct buf output = {};
	struct err ignored = {};
	const char *p;

	/* A new namespace has no such set. */
	if (underlay_rules_run(u, words, NULL, &output, &ignored) < 0 || !output.len)
		return;
	for (p = output.data; (p = strstr(p, "\"a")); p += 2) {
		unsigned long index = strtoul(p + 2, NULL, 10);

		if (index >= UNDERLAY_INDEX_MIN && index <= UNDERLAY_INDEX_MAX)
			rules_remember(u, (uint16_t)index, true);
	}
}

static void rules_write_members(const struct underlay *u, struct buf *text)
{
	const char *before = "elements = {";

	for (unsigned int i = UNDERLAY_INDEX_MIN; i <= UNDERLAY_INDEX_MAX; i++) {
		if (!underlay_is_host_gateway(u, (uint16_t)i))
			continue;
		buf_addf(text, "%s \"a%u\"", before, i);
		before = ",";
	}
	if (text->len)
		buf_adds(text, " }");
}

/* The first nameserver of a resolv.conf(5) that is IPv4 and no loopback. */
static bool rules_read_resolver(const char *path, char out[static INET_ADDRSTRLEN])
{
	_cleanup_free_ char *text = NULL;
	char *line, *save = NULL;
	struct in_addr addr;
	char word[64];

	if (fs_read_file(path, RULES_RESOLV_MAX, &text, NULL) < 0)
		return false;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, " nameserver %63s", word) != 1 ||
		    inet_pton(AF_INET, word, &addr) != 1 ||
		    (ntohl(addr.s_addr) >> IN_CLASSA_NSHIFT) == IN_LOOPBACKNET)
			continue;
		return inet_ntop(AF_INET, &addr, out, INET_ADDRSTRLEN);
	}
	return false;
}

/*
 * pasta leads UDP for 198.19.255.3 to the host's resolver, but not TCP (Debian 12's).
 * systemd-resolved is on loopback, where DNAT does not lead; those that it asks are as good.
 */
static void rules_write_resolver(struct buf *text)
{
	char addr[INET_ADDRSTRLEN];

	if (rules_read_resolver("/etc/resolv.conf", addr) ||
	    rules_read_resolver("/run/systemd/resolve/resolv.conf", addr))
		buf_addf(text, "iifname \"a*\" ip daddr 198.19.255.3 tcp dport 53 dnat ip to %s",
			 addr);
}

static int rules_write(const struct underlay *u, struct buf *text)
{
	_cleanup_buf_ struct buf members = {}, resolver = {};

	rules_write_members(u, &members);
	rules_write_resolver(&resolver);
	buf_addf(text, rules_text, members.len ? members.data : "",
		 resolver.len ? resolver.data : "");
	return members.failed || resolver.failed || text->failed ? -ENOMEM : 0;
}

/**
 * underlay_rules_load() - Put the whole rule set in force, whatever was there
 * @u:	 Underlay; its thread is in the namespace
 * @err: Filled on failure; names the package that is missing
 *
 * Return: 0, or negative errno
 */
int underlay_rules_load(struct underlay *u, struct err *err)
{
	static const char *const words[] = {"-f", "-", NULL};
	_cleanup_buf_ struct buf text = {}, output = {};

	rules_read_members(u);
	if (rules_write(u, &text) < 0)
		return err_oom(err);
	return underlay_rules_run(u, words, text.data, &output, err);
}

/**
 * underlay_rules_host_gateway() - The work of underlay_host_gateway(), in the namespace
 * @u:	   Underlay, set up
 * @index: VM
 * @on:	   Whether it may reach the host
 * @err:   Filled on failure
 *
 * Return: 0, or negative errno
 */
int underlay_rules_host_gateway(struct underlay *u, uint16_t index, bool on, struct err *err)
{
	static const char *const words[] = {"-f", "-", NULL};
	_cleanup_buf_ struct buf output = {};
	char text[96];
	int r;

	if (index < UNDERLAY_INDEX_MIN || index > UNDERLAY_INDEX_MAX)
		return err_user(err, ERR_INVALID, "%u is no VM's index", index);
	if (underlay_is_host_gateway(u, index) == on)
		return 0;
	(void)snprintf(text, sizeof(text), "%s element inet arca hostgw { \"a%u\" }\n",
		       on ? "add" : "delete", index);
	r = underlay_rules_run(u, words, text, &output, err);
	if (r == 0)
		rules_remember(u, index, on);
	return r;
}

/* Rules within chains, a line each, in our text as in nft's. */
static unsigned int rules_count(char *text)
{
	char *line, *save = NULL;
	bool in_chain = false;
	unsigned int n = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t");
		if (str_starts(line, "chain "))
			in_chain = true;
		else if (*line == '}')
			in_chain = false;
		else
			n += in_chain && *line && !str_starts(line, "type filter hook") &&
			     !str_starts(line, "type nat hook");
	}
	return n;
}

/**
 * underlay_rules_look() - What is in force, beside what would be loaded
 * @u:		Its thread is in the namespace; who may reach the host is noted in it
 * @ret_wanted: Rules that underlay_rules_load() would load; set on success
 * @ret_found:	Rules that the kernel has; set on success
 * @err:	Filled on failure; names the package that is missing
 *
 * Return: 0, or negative errno
 */
int underlay_rules_look(struct underlay *u, unsigned int *ret_wanted, unsigned int *ret_found,
			struct err *err)
{
	static const char *const tables[] = {"list", "tables", "inet", NULL};
	static const char *const words[] = {"list", "table", "inet", "arca", NULL};
	_cleanup_buf_ struct buf text = {}, names = {}, output = {};
	int r = underlay_rules_run(u, tables, NULL, &names, err);

	if (r == 0 && names.len && strstr(names.data, "table inet arca\n"))
		r = underlay_rules_run(u, words, NULL, &output, err);
	if (r < 0)
		return r;
	if (rules_write(u, &text) < 0)
		return err_oom(err);
	*ret_wanted = rules_count(text.data);
	*ret_found = output.len ? rules_count(output.data) : 0;
	rules_read_members(u);
	return 0;
}
