/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns-host.c - the DNS server on this machine's loopback, for dig.sh
 *
 *     dns-host [internal] PORT...    asks 127.0.0.1:PORT upstream; prints its own port and serves
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dns_server.h"
#include "agent/dns_zone.h"
#include "agent/poll.h"
#include "base/cleanup.h"

#define HOST_MANY 300 /* members of the service "many" */

static int host_add(struct dns_zone *zone, uint8_t network, uint8_t host, bool v6,
		    const char *const *names)
{
	uint8_t a4[4] = {172, 18, network, host}, a6[16] = {0xfd, [14] = network, [15] = host};
	char id[8];
	struct dns_endpoint endpoint = {.id = id, .names = names, .v4 = a4, .v6 = v6 ? a6 : NULL};

	(void)snprintf(id, sizeof(id), "%u.%u", network, host);
	while (names[endpoint.n_names])
		endpoint.n_names++;
	return dns_zone_set(zone, "n", &endpoint);
}

static int host_zone(struct dns_zone *zone)
{
	static const char *const one[] = {"C1", "0123456789ab", "hosty", "svc", NULL};
	static const char *const two[] = {"c2.dots", "svc", NULL}, *const three[] = {"c3", "svc",
										     NULL};
	static const char *const many[] = {"many", NULL};
	int r = dns_zone_network_add(zone, "n", "net", 0);

	if (r == 0)
		r = host_add(zone, 0, 1, true, one);
	if (r == 0)
		r = host_add(zone, 0, 2, false, two);
	if (r == 0)
		r = host_add(zone, 0, 3, false, three);
	for (int i = 0; r == 0 && i < HOST_MANY; i++)
		r = host_add(zone, (uint8_t)(1 + i / 200), (uint8_t)(i % 200), false, many);
	return r;
}

int main(int argc, char **argv)
{
	struct dns_zone *zone = dns_zone_new();
	struct dns_upstream upstreams[DNS_UPSTREAMS_MAX];
	struct dns_config config = {.netns_fd = -1, .upstreams = upstreams, .forward = true};
	struct dns_server *server;
	struct poller poller;
	int r = zone ? host_zone(zone) : -ENOMEM;

	for (int i = 1; i < argc && config.n_upstreams < DNS_UPSTREAMS_MAX; i++) {
		if (strcmp(argv[i], "internal") == 0)
			config.forward = false;
		else
			upstreams[config.n_upstreams++] = (struct dns_upstream){
				.address = {{127, 0, 0, 1}, 4},
				.port = (uint16_t)strtoul(argv[i], NULL, 10),
			};
	}
	if (r == 0)
		r = poll_init(&poller);
	if (r == 0)
		r = dns_server_new(&config, zone, &poller, &server);
	/* dig knows one port; in a container the firewall has both. */
	if (r < 0 || dns_server_udp_port(server) != dns_server_tcp_port(server)) {
		(void)fprintf(stderr, "dns-host: %s\n", strerror(r < 0 ? -r : EADDRINUSE));
		return 1;
	}
	printf("%u\n", dns_server_udp_port(server));
	(void)fflush(stdout);
	while (poll_once(&poller) == 0)
		;
	return 1;
}
