/* SPDX-License-Identifier: Apache-2.0 */
/* container_status.c - "Up 5 minutes", "Exited (0) 3 seconds ago": the words of docker ps */
#include <stdio.h>

#include "base/clock.h"
#include "core/containers.h"

/**
 * human_duration() - A length of time in words, with Docker's roundings
 * @ns:	  Nanoseconds
 * @out:  Receives the text
 * @size: Room in @out
 */
void human_duration(int64_t ns, char *out, size_t size)
{
	long long seconds = ns / NSEC_PER_SEC, minutes = seconds / 60;
	long long hours = (seconds + 1800) / 3600; /* nearest */

	if (seconds < 1)
		(void)snprintf(out, size, "Less than a second");
	else if (seconds == 1)
		(void)snprintf(out, size, "1 second");
	else if (seconds < 60)
		(void)snprintf(out, size, "%lld seconds", seconds);
	else if (minutes == 1)
		(void)snprintf(out, size, "About a minute");
	else if (minutes < 60)
		(void)snprintf(out, size, "%lld minutes", minutes);
	else if (hours == 1)
		(void)snprintf(out, size, "About an hour");
	else if (hours < 48)
		(void)snprintf(out, size, "%lld hours", hours);
	else if (hours < 24 * 7 * 2)
		(void)snprintf(out, size, "%lld days", hours / 24);
	else if (hours < 24 * 30 * 2)
		(void)snprintf(out, size, "%lld weeks", hours / 24 / 7);
	else if (hours < 24 * 365 * 2)
		(void)snprintf(out, size, "%lld months", hours / 24 / 30);
	else
		(void)snprintf(out, size, "%lld years", seconds / 3600 / 24 / 365);
}

/**
 * container_status_text() - Status as docker ps shows it
 * @c:	    Container, state lock held
 * @now_ns: Wall clock
 * @out:    Receives the text
 * @size:   Room in @out
 */
void container_status_text(struct container *c, int64_t now_ns, char *out, size_t size)
{
	char age[48];

	switch (c->state) {
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
		human_duration(now_ns - c->started_ns, age, sizeof(age));
		(void)snprintf(out, size, "Up %s%s", age,
			       c->state == CONTAINER_PAUSED ? " (Paused)" : "");
		break;
	case CONTAINER_RESTARTING:
		human_duration(now_ns - c->finished_ns, age, sizeof(age));
		(void)snprintf(out, size, "Restarting (%d) %s ago", c->exit_code, age);
		break;
	case CONTAINER_REMOVING:
		(void)snprintf(out, size, "Removal In Progress");
		break;
	case CONTAINER_DEAD:
		(void)snprintf(out, size, "Dead");
		break;
	case CONTAINER_CREATED:
		(void)snprintf(out, size, "Created");
		break;
	case CONTAINER_EXITED:
		human_duration(now_ns - c->finished_ns, age, sizeof(age));
		(void)snprintf(out, size, "Exited (%d) %s ago", c->exit_code, age);
		break;
	}
}
