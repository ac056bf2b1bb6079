/* SPDX-License-Identifier: Apache-2.0 */
/* schema_tables.c - the fields of the bodies that create, update and exec take */
#include "api/schema.h"

#define END                                                                                        \
	{                                                                                          \
		NULL, SCHEMA_ANY, NULL                                                             \
	}

static const struct schema_field schema_healthcheck[] = {
	{"Test", SCHEMA_STRINGS, NULL},
	{"Interval", SCHEMA_INT64, NULL},
	{"Timeout", SCHEMA_INT64, NULL},
	{"StartPeriod", SCHEMA_INT64, NULL},
	{"StartInterval", SCHEMA_INT64, NULL},
	{"Retries", SCHEMA_INT, NULL},
	END,
};

static const struct schema_field schema_log_config[] = {
	{"Type", SCHEMA_STRING, NULL},
	{"Config", SCHEMA_STRING_MAP, NULL},
	END,
};

static const struct schema_field schema_restart_policy[] = {
	{"Name", SCHEMA_STRING, NULL},
	{"MaximumRetryCount", SCHEMA_INT, NULL},
	END,
};

static const struct schema_field schema_port_binding[] = {
	{"HostIp", SCHEMA_STRING, NULL},
	{"HostPort", SCHEMA_STRING, NULL},
	END,
};

static const struct schema_field schema_weight_device[] = {
	{"Path", SCHEMA_STRING, NULL},
	{"Weight", SCHEMA_UINT16, NULL},
	END,
};

static const struct schema_field schema_throttle_device[] = {
	{"Path", SCHEMA_STRING, NULL},
	{"Rate", SCHEMA_UINT64, NULL},
	END,
};

static const struct schema_field schema_device[] = {
	{"PathOnHost", SCHEMA_STRING, NULL},
	{"PathInContainer", SCHEMA_STRING, NULL},
	{"CgroupPermissions", SCHEMA_STRING, NULL},
	END,
};

static const struct schema_field schema_device_request[] = {
	{"Driver", SCHEMA_STRING, NULL},      {"Count", SCHEMA_INT, NULL},
	{"DeviceIDs", SCHEMA_STRINGS, NULL},  {"Capabilities", SCHEMA_ANY, NULL},
	{"Options", SCHEMA_STRING_MAP, NULL}, END,
};

static const struct schema_field schema_ulimit[] = {
	{"Name", SCHEMA_STRING, NULL},
	{"Hard", SCHEMA_INT64, NULL},
	{"Soft", SCHEMA_INT64, NULL},
	END,
};

static const struct schema_field schema_driver[] = {
	{"Name", SCHEMA_STRING, NULL},
	{"Options", SCHEMA_STRING_MAP, NULL},
	END,
};

static const struct schema_field schema_bind_options[] = {
	{"Propagation", SCHEMA_STRING, NULL},	       {"NonRecursive", SCHEMA_BOOL, NULL},
	{"CreateMountpoint", SCHEMA_BOOL, NULL},       {"ReadOnlyNonRecursive", SCHEMA_BOOL, NULL},
	{"ReadOnlyForceRecursive", SCHEMA_BOOL, NULL}, END,
};

static const struct schema_field schema_volume_options[] = {
	{"NoCopy", SCHEMA_BOOL, NULL},
	{"Labels", SCHEMA_STRING_MAP, NULL},
	{"Subpath", SCHEMA_STRING, NULL},
	{"DriverConfig", SCHEMA_OBJECT, schema_driver},
	END,
};

static const struct schema_field schema_tmpfs_options[] = {
	{"SizeBytes", SCHEMA_INT64, NULL},
	{"Mode", SCHEMA_INT64, NULL},
	{"Options", SCHEMA_ANY, NULL},
	END,
};

static const struct schema_field schema_image_options[] = {
	{"Subpath", SCHEMA_STRING, NULL},
	END,
};

static const struct schema_field schema_mount[] = {
	{"Type", SCHEMA_STRING, NULL},
	{"Source", SCHEMA_STRING, NULL},
	{"Target", SCHEMA_STRING, NULL},
	{"ReadOnly", SCHEMA_BOOL, NULL},
	{"Consistency", SCHEMA_STRING, NULL},
	{"BindOptions", SCHEMA_OBJECT, schema_bind_options},
	{"VolumeOptions", SCHEMA_OBJECT, schema_volume_options},
	{"TmpfsOptions", SCHEMA_OBJECT, schema_tmpfs_options},
	{"ImageOptions", SCHEMA_OBJECT, schema_image_options},
	{"ClusterOptions", SCHEMA_OBJECT, NULL},
	END,
};

static const struct schema_field schema_networking_config[] = {
	{"EndpointsConfig", SCHEMA_OBJECT_MAP, schema_endpoint},
	END,
};

static const struct schema_field schema_host_config[] = {
	{"Binds", SCHEMA_STRINGS, NULL},
	{"ContainerIDFile", SCHEMA_STRING, NULL},
	{"LogConfig", SCHEMA_OBJECT, schema_log_config},
	{"NetworkMode", SCHEMA_STRING, NULL},
	{"PortBindings", SCHEMA_ARRAY_MAP, schema_port_binding},
	{"RestartPolicy", SCHEMA_OBJECT, schema_restart_policy},
	{"AutoRemove", SCHEMA_BOOL, NULL},
	{"VolumeDriver", SCHEMA_STRING, NULL},
	{"VolumesFrom", SCHEMA_STRINGS, NULL},
	{"ConsoleSize", SCHEMA_ANY, NULL},
	{"Annotations", SCHEMA_STRING_MAP, NULL},
	{"CapAdd", SCHEMA_STRSLICE, NULL},
	{"CapDrop", SCHEMA_STRSLICE, NULL},
	{"CgroupnsMode", SCHEMA_STRING, NULL},
	{"Dns", SCHEMA_STRINGS, NULL},
	{"DnsOptions", SCHEMA_STRINGS, NULL},
	{"DnsSearch", SCHEMA_STRINGS, NULL},
	{"ExtraHosts", SCHEMA_STRINGS, NULL},
	{"GroupAdd", SCHEMA_STRINGS, NULL},
	{"IpcMode", SCHEMA_STRING, NULL},
	{"Cgroup", SCHEMA_STRING, NULL},
	{"Links", SCHEMA_STRINGS, NULL},
	{"OomScoreAdj", SCHEMA_INT, NULL},
	{"PidMode", SCHEMA_STRING, NULL},
	{"Privileged", SCHEMA_BOOL, NULL},
	{"PublishAllPorts", SCHEMA_BOOL, NULL},
	{"ReadonlyRootfs", SCHEMA_BOOL, NULL},
	{"SecurityOpt", SCHEMA_STRINGS, NULL},
	{"StorageOpt", SCHEMA_STRING_MAP, NULL},
	{"Tmpfs", SCHEMA_STRING_MAP, NULL},
	{"UTSMode", SCHEMA_STRING, NULL},
	{"UsernsMode", SCHEMA_STRING, NULL},
	{"ShmSize", SCHEMA_INT64, NULL},
	{"Sysctls", SCHEMA_STRING_MAP, NULL},
	{"Runtime", SCHEMA_STRING, NULL},
	{"Isolation", SCHEMA_STRING, NULL},
	{"Mounts", SCHEMA_OBJECTS, schema_mount},
	{"MaskedPaths", SCHEMA_STRINGS, NULL},
	{"ReadonlyPaths", SCHEMA_STRINGS, NULL},
	{"Init", SCHEMA_BOOL, NULL},
	{"CpuShares", SCHEMA_INT64, NULL},
	{"Memory", SCHEMA_INT64, NULL},
	{"NanoCpus", SCHEMA_INT64, NULL},
	{"CgroupParent", SCHEMA_STRING, NULL},
	{"BlkioWeight", SCHEMA_UINT16, NULL},
	{"BlkioWeightDevice", SCHEMA_OBJECTS, schema_weight_device},
	{"BlkioDeviceReadBps", SCHEMA_OBJECTS, schema_throttle_device},
	{"BlkioDeviceWriteBps", SCHEMA_OBJECTS, schema_throttle_device},
	{"BlkioDeviceReadIOps", SCHEMA_OBJECTS, schema_throttle_device},
	{"BlkioDeviceWriteIOps", SCHEMA_OBJECTS, schema_throttle_device},
	{"CpuPeriod", SCHEMA_INT64, NULL},
	{"CpuQuota", SCHEMA_INT64, NULL},
	{"CpuRealtimePeriod", SCHEMA_INT64, NULL},
	{"CpuRealtimeRuntime", SCHEMA_INT64, NULL},
	{"CpusetCpus", SCHEMA_STRING, NULL},
	{"CpusetMems", SCHEMA_STRING, NULL},
	{"Devices", SCHEMA_OBJECTS, schema_device},
	{"DeviceCgroupRules", SCHEMA_STRINGS, NULL},
	{"DeviceRequests", SCHEMA_OBJECTS, schema_device_request},
	{"KernelMemory", SCHEMA_INT64, NULL},
	{"KernelMemoryTCP", SCHEMA_INT64, NULL},
	{"MemoryReservation", SCHEMA_INT64, NULL},
	{"MemorySwap", SCHEMA_INT64, NULL},
	{"MemorySwappiness", SCHEMA_INT64, NULL},
	{"OomKillDisable", SCHEMA_BOOL, NULL},
	{"PidsLimit", SCHEMA_INT64, NULL},
	{"Ulimits", SCHEMA_OBJECTS, schema_ulimit},
	{"CpuCount", SCHEMA_INT64, NULL},
	{"CpuPercent", SCHEMA_INT64, NULL},
	{"IOMaximumIOps", SCHEMA_UINT64, NULL},
	{"IOMaximumBandwidth", SCHEMA_UINT64, NULL},
	END,
};

const struct schema_field schema_container_config[] = {
	{"Hostname", SCHEMA_STRING, NULL},
	{"Domainname", SCHEMA_STRING, NULL},
	{"User", SCHEMA_STRING, NULL},
	{"AttachStdin", SCHEMA_BOOL, NULL},
	{"AttachStdout", SCHEMA_BOOL, NULL},
	{"AttachStderr", SCHEMA_BOOL, NULL},
	{"ExposedPorts", SCHEMA_OBJECT_MAP, NULL},
	{"Tty", SCHEMA_BOOL, NULL},
	{"OpenStdin", SCHEMA_BOOL, NULL},
	{"StdinOnce", SCHEMA_BOOL, NULL},
	{"Env", SCHEMA_STRINGS, NULL},
	{"Cmd", SCHEMA_STRSLICE, NULL},
	{"Healthcheck", SCHEMA_OBJECT, schema_healthcheck},
	{"ArgsEscaped", SCHEMA_BOOL, NULL},
	{"Image", SCHEMA_STRING, NULL},
	{"Volumes", SCHEMA_OBJECT_MAP, NULL},
	{"WorkingDir", SCHEMA_STRING, NULL},
	{"Entrypoint", SCHEMA_STRSLICE, NULL},
	{"NetworkDisabled", SCHEMA_BOOL, NULL},
	{"MacAddress", SCHEMA_STRING, NULL},
	{"OnBuild", SCHEMA_STRINGS, NULL},
	{"Labels", SCHEMA_STRING_MAP, NULL},
	{"StopSignal", SCHEMA_STRING, NULL},
	{"StopTimeout", SCHEMA_INT, NULL},
	{"Shell", SCHEMA_STRSLICE, NULL},
	END,
};

const struct schema_field schema_container_create[] = {
	{"Hostname", SCHEMA_STRING, NULL},
	{"Domainname", SCHEMA_STRING, NULL},
	{"User", SCHEMA_STRING, NULL},
	{"AttachStdin", SCHEMA_BOOL, NULL},
	{"AttachStdout", SCHEMA_BOOL, NULL},
	{"AttachStderr", SCHEMA_BOOL, NULL},
	{"ExposedPorts", SCHEMA_OBJECT_MAP, NULL},
	{"Tty", SCHEMA_BOOL, NULL},
	{"OpenStdin", SCHEMA_BOOL, NULL},
	{"StdinOnce", SCHEMA_BOOL, NULL},
	{"Env", SCHEMA_STRINGS, NULL},
	{"Cmd", SCHEMA_STRSLICE, NULL},
	{"Healthcheck", SCHEMA_OBJECT, schema_healthcheck},
	{"ArgsEscaped", SCHEMA_BOOL, NULL},
	{"Image", SCHEMA_STRING, NULL},
	{"Volumes", SCHEMA_OBJECT_MAP, NULL},
	{"WorkingDir", SCHEMA_STRING, NULL},
	{"Entrypoint", SCHEMA_STRSLICE, NULL},
	{"NetworkDisabled", SCHEMA_BOOL, NULL},
	{"MacAddress", SCHEMA_STRING, NULL},
	{"OnBuild", SCHEMA_STRINGS, NULL},
	{"Labels", SCHEMA_STRING_MAP, NULL},
	{"StopSignal", SCHEMA_STRING, NULL},
	{"StopTimeout", SCHEMA_INT, NULL},
	{"Shell", SCHEMA_STRSLICE, NULL},
	{"HostConfig", SCHEMA_OBJECT, schema_host_config},
	{"NetworkingConfig", SCHEMA_OBJECT, schema_networking_config},
	END,
};

const struct schema_field schema_container_update[] = {
	{"CpuShares", SCHEMA_INT64, NULL},
	{"Memory", SCHEMA_INT64, NULL},
	{"NanoCpus", SCHEMA_INT64, NULL},
	{"CgroupParent", SCHEMA_STRING, NULL},
	{"BlkioWeight", SCHEMA_UINT16, NULL},
	{"BlkioWeightDevice", SCHEMA_OBJECTS, schema_weight_device},
	{"BlkioDeviceReadBps", SCHEMA_OBJECTS, schema_throttle_device},
	{"BlkioDeviceWriteBps", SCHEMA_OBJECTS, schema_throttle_device},
	{"BlkioDeviceReadIOps", SCHEMA_OBJECTS, schema_throttle_device},
	{"BlkioDeviceWriteIOps", SCHEMA_OBJECTS, schema_throttle_device},
	{"CpuPeriod", SCHEMA_INT64, NULL},
	{"CpuQuota", SCHEMA_INT64, NULL},
	{"CpuRealtimePeriod", SCHEMA_INT64, NULL},
	{"CpuRealtimeRuntime", SCHEMA_INT64, NULL},
	{"CpusetCpus", SCHEMA_STRING, NULL},
	{"CpusetMems", SCHEMA_STRING, NULL},
	{"Devices", SCHEMA_OBJECTS, schema_device},
	{"DeviceCgroupRules", SCHEMA_STRINGS, NULL},
	{"DeviceRequests", SCHEMA_OBJECTS, schema_device_request},
	{"KernelMemory", SCHEMA_INT64, NULL},
	{"KernelMemoryTCP", SCHEMA_INT64, NULL},
	{"MemoryReservation", SCHEMA_INT64, NULL},
	{"MemorySwap", SCHEMA_INT64, NULL},
	{"MemorySwappiness", SCHEMA_INT64, NULL},
	{"OomKillDisable", SCHEMA_BOOL, NULL},
	{"PidsLimit", SCHEMA_INT64, NULL},
	{"Ulimits", SCHEMA_OBJECTS, schema_ulimit},
	{"CpuCount", SCHEMA_INT64, NULL},
	{"CpuPercent", SCHEMA_INT64, NULL},
	{"IOMaximumIOps", SCHEMA_UINT64, NULL},
	{"IOMaximumBandwidth", SCHEMA_UINT64, NULL},
	{"RestartPolicy", SCHEMA_OBJECT, schema_restart_policy},
	END,
};

const struct schema_field schema_exec_create[] = {
	{"User", SCHEMA_STRING, NULL},
	{"Privileged", SCHEMA_BOOL, NULL},
	{"Tty", SCHEMA_BOOL, NULL},
	{"ConsoleSize", SCHEMA_ANY, NULL},
	{"AttachStdin", SCHEMA_BOOL, NULL},
	{"AttachStderr", SCHEMA_BOOL, NULL},
	{"AttachStdout", SCHEMA_BOOL, NULL},
	{"Detach", SCHEMA_BOOL, NULL},
	{"DetachKeys", SCHEMA_STRING, NULL},
	{"Env", SCHEMA_STRINGS, NULL},
	{"WorkingDir", SCHEMA_STRING, NULL},
	{"Cmd", SCHEMA_STRINGS, NULL},
	END,
};

const struct schema_field schema_exec_start[] = {
	{"Detach", SCHEMA_BOOL, NULL},
	{"Tty", SCHEMA_BOOL, NULL},
	{"ConsoleSize", SCHEMA_ANY, NULL},
	END,
};
