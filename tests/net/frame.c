/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define VNET_HDR 10 /* struct virtio_net_hdr without the count of merged buffers */

uint16_t frame_checksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

void frame_send_raw(const struct vm *vm, uint16_t type, const uint8_t *dest_mac, const void *body,
		    size_t len)
{
	uint8_t data[VNET_HDR + 14 + FRAME_MAX] = {};
	uint8_t *eth = data + VNET_HDR;

	memcpy(eth, dest_mac ? dest_mac : underlay_gateway()->mac, 6);
	memcpy(eth + 6, vm->addr.mac, 6);
	eth[12] = (uint8_t)(type >> 8);
	eth[13] = (uint8_t)type;
	memcpy(eth + 14, body, len);
	(void)!write(vm->fd, data, VNET_HDR + 14 + len); /* what does not go does not arrive */
}

static uint32_t frame_pseudo(const uint8_t *source, const uint8_t *dest, size_t n, uint8_t proto,
			     size_t len)
{
	uint32_t sum = proto + (uint32_t)len;

	for (size_t i = 0; i < n; i++)
		sum += (i % 2 ? source[i] : (uint32_t)source[i] << 8) +
		       (i % 2 ? dest[i] : (uint32_t)dest[i] << 8);
	return sum;
}

static size_t frame_put_transport(uint8_t *out, const struct packet *p, const uint8_t *source)
{
	size_t n = p->v6 ? 16 : 4, len = 8 + p->payload_len;
	uint8_t proto = p->proto == IPPROTO_ICMP && p->v6 ? IPPROTO_ICMPV6 : p->proto;
	size_t sum_at = 6;
	uint16_t sum;

	memset(out, 0, 20);
	if (p->proto == IPPROTO_ICMP) {
		out[0] = p->v6 ? 128 : 8; /* echo request */
		len = 16;
		sum_at = 2;
	} else {
		out[0] = (uint8_t)(p->source_port >> 8);
		out[1] = (uint8_t)p->source_port;
		out[2] = (uint8_t)(p->dest_port >> 8);
		out[3] = (uint8_t)p->dest_port;
	}
	if (p->proto == IPPROTO_UDP) {
		out[4] = (uint8_t)(len >> 8);
		out[5] = (uint8_t)len;
		if (p->payload_len)
			memcpy(out + 8, p->payload, p->payload_len);
	} else if (p->proto == IPPROTO_TCP) {
		out[7] = 1;				   /* sequence */
		out[12] = 5 << 4;			   /* header length */
		out[13] = p->tcp_flags ? p->tcp_flags : 2; /* SYN */
		for (int i = 0; i < 4; i++)
			out[8 + i] = (uint8_t)(p->tcp_ack >> (24 - 8 * i));
		out[14] = 0x20; /* window */
		len = 20;
		sum_at = 16;
	}
	sum = frame_checksum(
		out, len, proto == IPPROTO_ICMP ? 0 : frame_pseudo(source, p->dest, n, proto, len));
	memcpy(out + sum_at, &sum, 2);
	return len;
}

void frame_send(const struct vm *vm, const struct packet *p)
{
	uint8_t data[VNET_HDR + 14 + FRAME_MAX] = {}, *eth = data + VNET_HDR, *ip = eth + 14;
	const uint8_t *source = p->source ? p->source : p->v6 ? vm->addr.v6 : vm->addr.v4;
	size_t head = p->v6 ? 40 : 20, len = frame_put_transport(ip + head, p, source);
	uint16_t sum;

	memcpy(eth, p->dest_mac ? p->dest_mac : underlay_gateway()->mac, 6);
	memcpy(eth + 6, p->source_mac ? p->source_mac : vm->addr.mac, 6);
	eth[12] = p->v6 ? 0x86 : 0x08;
	eth[13] = p->v6 ? 0xdd : 0x00;
	if (p->v6) {
		ip[0] = 0x60;
		ip[4] = (uint8_t)(len >> 8);
		ip[5] = (uint8_t)len;
		ip[6] = p->proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : p->proto;
		ip[7] = 64;
		memcpy(ip + 8, source, 16);
		memcpy(ip + 24, p->dest, 16);
	} else {
		ip[0] = 0x45;
		ip[2] = (uint8_t)((len + 20) >> 8);
		ip[3] = (uint8_t)(len + 20);
		ip[8] = 64;
		ip[9] = p->proto;
		memcpy(ip + 12, source, 4);
		memcpy(ip + 16, p->dest, 4);
		sum = frame_checksum(ip, 20, 0);
		memcpy(ip + 10, &sum, 2);
	}
	(void)!write(vm->fd, data, VNET_HDR + 14 + head + len);
}

static bool frame_decode(struct frame *f)
{
	const uint8_t *eth = f->bytes + VNET_HDR, *ip = eth + 14;
	size_t head;

	if (f->len < VNET_HDR + 14 + 28)
		return false;
	f->dest_mac = eth;
	f->source_mac = eth + 6;
	f->type = (uint16_t)(eth[12] << 8 | eth[13]);
	f->data = ip;
	f->data_len = f->len - VNET_HDR - 14;
	if (f->type == ETHERTYPE_IP) {
		head = (ip[0] & 15U) * 4;
		f->proto = ip[9];
		f->source = ip + 12;
		f->dest = ip + 16;
	} else if (f->type == ETHERTYPE_IPV6) {
		head = 40;
		f->proto = ip[6];
		f->source = ip + 8;
		f->dest = ip + 24;
	} else {
		return true;
	}
	f->data = ip + head;
	f->data_len -= head;
	return true;
}

bool frame_receive(const struct vm *vm, int timeout_ms, struct frame *ret_frame)
{
	int64_t end_ns = clock_monotonic_ns() + timeout_ms * NSEC_PER_MSEC;

	for (;;) {
		int64_t left_ms = (end_ns - clock_monotonic_ns()) / NSEC_PER_MSEC;
		struct pollfd p = {.fd = vm->fd, .events = POLLIN};
		ssize_t n;

		if (left_ms < 0 || poll(&p, 1, (int)left_ms) <= 0)
			return false;
		memset(ret_frame, 0, sizeof(*ret_frame));
		n = read(vm->fd, ret_frame->bytes, sizeof(ret_frame->bytes));
		if (n <= 0)
			return false;
		ret_frame->len = (size_t)n;
		if (frame_decode(ret_frame))
			return true;
	}
}

/* Waits for a packet of a protocol from a source; others are skipped. */
bool frame_expect(const struct vm *vm, uint8_t proto, const uint8_t *source, size_t source_len,
		  struct frame *ret_frame)
{
	int64_t end_ns = clock_monotonic_ns() + FRAME_WAIT_MS * NSEC_PER_MSEC;

	while (clock_monotonic_ns() < end_ns) {
		if (frame_receive(vm, FRAME_WAIT_MS, ret_frame) && ret_frame->proto == proto &&
		    ret_frame->source && memcmp(ret_frame->source, source, source_len) == 0)
			return true;
	}
	return false;
}

/* Does nothing arrive but what the namespace says of itself (multicast of IPv6)? */
bool frame_silent(const struct vm *vm)
{
	struct frame f;

	while (frame_receive(vm, FRAME_SILENT_MS, &f)) {
		if (!(f.dest_mac[0] == 0x33 && f.proto != IPPROTO_UDP && f.proto != IPPROTO_TCP))
			return false;
	}
	return true;
}

void frame_drain(const struct vm *vm)
{
	struct frame f;

	while (frame_receive(vm, 20, &f))
		continue;
}
