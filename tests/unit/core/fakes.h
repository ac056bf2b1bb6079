/* SPDX-License-Identifier: Apache-2.0 */
/* fakes.h - what the container manager calls, without VMs: fakes.c is linked in their place */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct forward_mapping;

/* What the next start does. */
enum fake_start { FAKE_RUNS, FAKE_NO_PROGRAM, FAKE_NO_VM, FAKE_DIES_AT_ONCE, FAKE_VM_DIES };

struct fakes {
	struct loop *loop;
	atomic_int adopting, adopting_max;
	enum fake_start start;
	int signal_status;	  /* enum rpc_status that Signal answers */
	bool no_image;		  /* the image and its rootfs are gone */
	int start_takes_ms;	  /* how long a VM takes to come */
	int stop_takes_ms;	  /* how long it takes to go */
	int namesakes;		  /* VMs that came while one of the same name was there */
	bool ignore_signals;	  /* the guest takes them and does nothing */
	bool adopt;		  /* sandbox_adopt() finds the VM ... */
	bool adopt_knows;	  /* ... and its agent knows the process */
	char adopt_knows_too[65]; /* another process it knows */
	atomic_int adopted;
	int adopt_exit;	     /* which exited with this; -1: runs */
	int adopt_together;  /* sandbox_adopt() waits until so many are in it, 5 s at most */
	char adopt_mute[65]; /* this one's guest says nothing ... */
	atomic_bool unmuted; /* ... until this is set, or 10 s are over; then it is gone */
	int sandboxes, stopped_hard, stopped_softly, swept;
	/* VMs that several share: disks of those who joined, first ones given up, guests cleared */
	int disks, released, cleared;
	bool no_slot, clear_refused;
	int last_signal;
	/* The forwarder: what it has for whom, and what it says to the next request. */
	char forward_owner[65], forward_holder[65];
	struct forward_mapping *forwarded; /* owned; fakes_forget() */
	size_t n_forwarded;
	int forward_error, forward_adds, forward_dels;
	uint16_t forward_taken; /* a host port that somebody else has */
	bool no_ipv6;		/* of the host */
	char events[4096];	/* actions, a blank after each */
};
extern struct fakes fakes;

void fakes_reset(struct loop *loop);
/* The process of the container with this name ends. */
void fakes_exit(const char *container_id, int code);
void fakes_forget(void);
void fakes_vm_dies(const char *container_id);
