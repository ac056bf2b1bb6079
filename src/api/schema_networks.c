/* SPDX-License-Identifier: Apache-2.0 */
/* schema_networks.c - the fields of endpoints' settings and of what the network endpoints take */
#include "api/schema.h"

#define END                                                                                        \
	{                                                                                          \
		NULL, SCHEMA_ANY, NULL                                                             \
	}

static const struct schema_field schema_endpoint_ipam[] = {
	{"IPv4Address", SCHEMA_STRING, NULL},
	{"IPv6Address", SCHEMA_STRING, NULL},
	{"LinkLocalIPs", SCHEMA_STRINGS, NULL},
	END,
};

const struct schema_field schema_endpoint[] = {
	{"IPAMConfig", SCHEMA_OBJECT, schema_endpoint_ipam},
	{"Links", SCHEMA_STRINGS, NULL},
	{"Aliases", SCHEMA_STRINGS, NULL},
	{"MacAddress", SCHEMA_STRING, NULL},
	{"DriverOpts", SCHEMA_STRING_MAP, NULL},
	{"GwPriority", SCHEMA_INT, NULL},
	{"NetworkID", SCHEMA_STRING, NULL},
	{"EndpointID", SCHEMA_STRING, NULL},
	{"Gateway", SCHEMA_STRING, NULL},
	{"IPAddress", SCHEMA_STRING, NULL},
	{"IPPrefixLen", SCHEMA_INT, NULL},
	{"IPv6Gateway", SCHEMA_STRING, NULL},
	{"GlobalIPv6Address", SCHEMA_STRING, NULL},
	{"GlobalIPv6PrefixLen", SCHEMA_INT, NULL},
	{"DNSNames", SCHEMA_STRINGS, NULL},
	END,
};

static const struct schema_field schema_ipam_pool[] = {
	{"Subnet", SCHEMA_STRING, NULL},
	{"IPRange", SCHEMA_STRING, NULL},
	{"Gateway", SCHEMA_STRING, NULL},
	{"AuxiliaryAddresses", SCHEMA_STRING_MAP, NULL},
	END,
};

static const struct schema_field schema_ipam[] = {
	{"Driver", SCHEMA_STRING, NULL},
	{"Options", SCHEMA_STRING_MAP, NULL},
	{"Config", SCHEMA_OBJECTS, schema_ipam_pool},
	END,
};

static const struct schema_field schema_config_from[] = {
	{"Network", SCHEMA_STRING, NULL},
	END,
};

const struct schema_field schema_network_create[] = {
	{"Name", SCHEMA_STRING, NULL},
	{"CheckDuplicate", SCHEMA_BOOL, NULL},
	{"Driver", SCHEMA_STRING, NULL},
	{"Scope", SCHEMA_STRING, NULL},
	{"EnableIPv4", SCHEMA_BOOL, NULL},
	{"EnableIPv6", SCHEMA_BOOL, NULL},
	{"IPAM", SCHEMA_OBJECT, schema_ipam},
	{"Internal", SCHEMA_BOOL, NULL},
	{"Attachable", SCHEMA_BOOL, NULL},
	{"Ingress", SCHEMA_BOOL, NULL},
	{"ConfigOnly", SCHEMA_BOOL, NULL},
	{"ConfigFrom", SCHEMA_OBJECT, schema_config_from},
	{"Options", SCHEMA_STRING_MAP, NULL},
	{"Labels", SCHEMA_STRING_MAP, NULL},
	END,
};

const struct schema_field schema_network_connect[] = {
	{"Container", SCHEMA_STRING, NULL},
	{"EndpointConfig", SCHEMA_OBJECT, schema_endpoint},
	END,
};

const struct schema_field schema_network_disconnect[] = {
	{"Container", SCHEMA_STRING, NULL},
	{"Force", SCHEMA_BOOL, NULL},
	END,
};
