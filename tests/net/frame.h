/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - raw Ethernet frames out of and into a VM's tap, virtio header included */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/underlay.h"

#define FRAME_MAX 2048
#define FRAME_WAIT_MS 2000  /* for what must come */
#define FRAME_SILENT_MS 150 /* for what must not come */

struct vm {
	int fd;
	struct underlay_addr addr;
};

/* One packet to be sent; zero fields take what is honest for the VM. */
struct packet {
	const uint8_t *source_mac, *dest_mac; /* to the gateway */
	const uint8_t *source;		      /* 4 or 16 bytes */
	const uint8_t *dest;		      /* 4 or 16 bytes */
	bool v6;
	uint8_t proto; /* IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP (echo; v6 alike) */
	uint16_t source_port, dest_port;
	uint8_t tcp_flags; /* 0: SYN */
	uint32_t tcp_ack;
	const void *payload; /* UDP */
	size_t payload_len;
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
	/* decoded */
	const uint8_t *dest_mac, *source_mac, *source, *dest, *data;
	uint16_t type;
	uint8_t proto;
	size_t data_len;
};

void frame_send(const struct vm *vm, const struct packet *p);
void frame_send_raw(const struct vm *vm, uint16_t type, const uint8_t *dest_mac, const void *body,
		    size_t len);
bool frame_receive(const struct vm *vm, int timeout_ms, struct frame *ret_frame);
bool frame_expect(const struct vm *vm, uint8_t proto, const uint8_t *source, size_t source_len,
		  struct frame *ret_frame);
bool frame_silent(const struct vm *vm);
void frame_drain(const struct vm *vm);
uint16_t frame_checksum(const void *data, size_t len, uint32_t sum);
