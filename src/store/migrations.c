/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrations.c - every table of the project, as forward-only steps
 *
 * A step is one SQL script, run in one transaction together with the new user_version. A step that
 * has been released is history: change a table by adding a step. Times are nanoseconds since 1970
 * UTC, sizes bytes, digests "sha256:<hex>", ids 64 hex digits.
 */
#include "store/migrations.h"

#include "base/util.h"

/*
 * Images (image/image_rows.c). An images row exists only once all its files are complete and
 * durable. Layers and rootfs have no use counts: what no row names is garbage (image_sweep.c).
 */
static const char migration_images[] =
	"CREATE TABLE images ("
	"  id TEXT PRIMARY KEY,"	   /* digest of the config document */
	"  manifest_digest TEXT NOT NULL," /* '' if none */
	"  manifest_type TEXT NOT NULL,"   /* media type */
	"  manifest_bytes INTEGER NOT NULL,"
	"  config_bytes INTEGER NOT NULL,"
	"  chain_id TEXT NOT NULL,"	 /* of its rootfs */
	"  created_ns INTEGER NOT NULL," /* as the config says; 0 if it does not */
	"  added_ns INTEGER NOT NULL,"
	"  size_bytes INTEGER NOT NULL," /* uncompressed, all layers */
	"  architecture TEXT NOT NULL,"
	"  os TEXT NOT NULL,"
	"  variant TEXT NOT NULL,"
	"  labels TEXT,"	  /* JSON object of the config, or NULL */
	"  comment TEXT NOT NULL" /* of the last history entry */
	") STRICT;"
	"CREATE INDEX images_by_chain ON images (chain_id);"
	"CREATE INDEX images_by_manifest ON images (manifest_digest);"
	"CREATE TABLE image_tags ("
	"  ref TEXT PRIMARY KEY," /* canonical: docker.io/library/busybox:latest */
	"  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,"
	"  tagged_ns INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX image_tags_by_image ON image_tags (image_id);"
	"CREATE TABLE image_digests ("
	"  ref TEXT NOT NULL," /* canonical: docker.io/library/busybox@sha256:... */
	"  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,"
	"  PRIMARY KEY (ref, image_id)"
	") STRICT;"
	"CREATE INDEX image_digests_by_image ON image_digests (image_id);"
	"CREATE TABLE layers ("
	"  diff_id TEXT PRIMARY KEY,"
	"  size_bytes INTEGER NOT NULL," /* sum of the file sizes */
	"  data_bytes INTEGER NOT NULL"	 /* on disk */
	") STRICT;"
	"CREATE TABLE image_layers ("
	"  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,"
	"  position INTEGER NOT NULL," /* 0 is the lowest */
	"  diff_id TEXT NOT NULL REFERENCES layers (diff_id),"
	"  blob_digest TEXT NOT NULL,"
	"  media_type TEXT NOT NULL,"
	"  blob_bytes INTEGER NOT NULL,"
	"  PRIMARY KEY (image_id, position)"
	") STRICT;"
	"CREATE INDEX image_layers_by_diff ON image_layers (diff_id);"
	"CREATE INDEX image_layers_by_blob ON image_layers (blob_digest);";

/* Exec instances (core/exec_rows.c), kept so that they survive the daemon, and the last events
 * (core/events_rows.c; trimmed to EVENTS_KEPT_MAX). */
static const char migration_execs_events[] =
	"CREATE TABLE execs ("
	"  id TEXT PRIMARY KEY,"
	"  container_id TEXT NOT NULL,"
	"  config TEXT NOT NULL,"   /* JSON: the create body */
	"  state INTEGER NOT NULL," /* enum exec_state */
	"  exit_code INTEGER NOT NULL,"
	"  pid INTEGER NOT NULL,"
	"  ended_ns INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX execs_by_container ON execs (container_id);"
	"CREATE TABLE events ("
	"  id INTEGER PRIMARY KEY,"
	"  time_ns INTEGER NOT NULL,"
	"  body TEXT NOT NULL" /* JSON: the API object */
	") STRICT;";

/* Containers (core/container_rows.c). A row is inserted when all else of the container is on disk.
 */
static const char migration_containers[] =
	"CREATE TABLE containers ("
	"  id TEXT PRIMARY KEY,"
	"  name TEXT NOT NULL UNIQUE," /* without the slash */
	"  created_ns INTEGER NOT NULL,"
	"  image_id TEXT NOT NULL," /* the image may go while the container stays */
	"  image_bytes INTEGER NOT NULL,"
	"  platform TEXT NOT NULL,"
	"  rootfs TEXT NOT NULL,"	   /* path of the disk */
	"  config TEXT NOT NULL,"	   /* JSON: merged with the image's */
	"  host_config TEXT NOT NULL,"	   /* JSON: complete */
	"  networking TEXT NOT NULL,"	   /* JSON: NetworkingConfig of the create body */
	"  state TEXT NOT NULL,"	   /* Docker's word */
	"  vm INTEGER NOT NULL DEFAULT 0," /* enum container_vm */
	"  exit_code INTEGER NOT NULL DEFAULT 0,"
	"  oom_killed INTEGER NOT NULL DEFAULT 0,"
	"  error TEXT NOT NULL DEFAULT '',"
	"  started_ns INTEGER NOT NULL DEFAULT 0,"
	"  finished_ns INTEGER NOT NULL DEFAULT 0,"
	"  restart_count INTEGER NOT NULL DEFAULT 0,"
	"  stopped_by_user INTEGER NOT NULL DEFAULT 0"
	") STRICT;";

/*
 * Layers of pulls that did not end (image/pull_kept.c): blob and layer are complete and right, but
 * no image names them yet. The next pull finds them; they go after a while, or with their image.
 */
static const char migration_pulls[] = "CREATE TABLE pulled_layers ("
				      "  blob_digest TEXT PRIMARY KEY,"
				      "  diff_id TEXT NOT NULL,"
				      "  kept_ns INTEGER NOT NULL"
				      ") STRICT;";

/*
 * Manifest lists (image/manifest_list.c): what a tag came as, where that was more than one image.
 * The document is a blob. An entry's image is the one of that manifest, if it is here.
 */
static const char migration_lists[] =
	"CREATE TABLE manifest_lists ("
	"  digest TEXT PRIMARY KEY,"
	"  media_type TEXT NOT NULL,"
	"  size_bytes INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE manifest_list_entries ("
	"  list_digest TEXT NOT NULL REFERENCES manifest_lists (digest) ON DELETE CASCADE,"
	"  position INTEGER NOT NULL,"
	"  manifest_digest TEXT NOT NULL,"
	"  PRIMARY KEY (list_digest, position)"
	") STRICT;"
	"CREATE INDEX manifest_list_entries_by_manifest "
	"  ON manifest_list_entries (manifest_digest);"
	"ALTER TABLE image_tags ADD COLUMN list_digest TEXT REFERENCES manifest_lists (digest);"
	"CREATE INDEX image_tags_by_list ON image_tags (list_digest);";

/*
 * Layers that lie uncompressed are pushed as gzip (image/push_gzip.c); what that was the last time
 * is remembered, so that a registry that has it is not sent it again. A manifest that came from a
 * registry goes back as it is: what has a digest there by now was pulled, or pushed as it is.
 */
static const char migration_pushed_gzip[] =
	"ALTER TABLE images ADD COLUMN pulled INTEGER NOT NULL DEFAULT 0;"
	"UPDATE images SET pulled = 1 WHERE id IN (SELECT image_id FROM image_digests);"
	"CREATE TABLE pushed_gzips ("
	"  diff_id TEXT PRIMARY KEY REFERENCES layers (diff_id) ON DELETE CASCADE,"
	"  blob_digest TEXT NOT NULL,"
	"  blob_bytes INTEGER NOT NULL"
	") STRICT;";

/*
 * Networks (core/networks_rows.c), their subnets and addresses (net/ipam.c), and what attaches a
 * container to them (core/network_endpoint_rows.c). Addresses are 4 or 16 bytes in network order,
 * so that they compare as numbers within a family. An endpoint has an id while its container runs.
 * Containers made before networks existed get the endpoints that their configuration asked for.
 */
static const char migration_networks[] =
	"CREATE TABLE networks ("
	"  id TEXT PRIMARY KEY,"
	"  name TEXT NOT NULL UNIQUE,"
	"  created_ns INTEGER NOT NULL,"
	"  driver TEXT NOT NULL,"
	"  scope TEXT NOT NULL,"
	"  ipv4 INTEGER NOT NULL,"
	"  ipv6 INTEGER NOT NULL,"
	"  internal INTEGER NOT NULL,"
	"  attachable INTEGER NOT NULL,"
	"  config_only INTEGER NOT NULL,"
	"  config_from TEXT NOT NULL," /* name of a network, or '' */
	"  predefined INTEGER NOT NULL,"
	"  options TEXT NOT NULL," /* JSON object of strings */
	"  labels TEXT NOT NULL,"  /* the same */
	"  ipam TEXT NOT NULL"	   /* JSON: IPAM as inspect shows it */
	") STRICT;"
	"CREATE TABLE network_pools ("
	"  network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,"
	"  position INTEGER NOT NULL,"
	"  first BLOB NOT NULL UNIQUE," /* of the subnet */
	"  last BLOB NOT NULL UNIQUE,"
	"  bits INTEGER NOT NULL,"
	"  range_first BLOB NOT NULL," /* what is given to those who ask for none by number */
	"  range_last BLOB NOT NULL,"
	"  range_bits INTEGER NOT NULL,"
	"  asked INTEGER NOT NULL," /* the subnet was asked for by number */
	"  PRIMARY KEY (network_id, position)"
	") STRICT;"
	"CREATE TABLE network_addresses ("
	"  network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,"
	"  address BLOB NOT NULL,"
	"  owner TEXT NOT NULL,"   /* a container's id, 'gateway' or 'aux' */
	"  used INTEGER NOT NULL," /* 0: rests with its owner */
	"  PRIMARY KEY (network_id, address)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX network_addresses_by_owner ON network_addresses (owner);"
	"CREATE TABLE endpoints ("
	"  container_id TEXT NOT NULL,"
	"  network TEXT NOT NULL,"		    /* as the client named it */
	"  settings TEXT NOT NULL,"		    /* JSON: what the client asked for */
	"  network_id TEXT NOT NULL DEFAULT '',"    /* once it was found */
	"  endpoint_id TEXT NOT NULL DEFAULT '',"   /* while the container runs */
	"  mac TEXT NOT NULL DEFAULT '',"	    /* the same */
	"  interface TEXT NOT NULL DEFAULT '',"	    /* the same: eth0 */
	"  dns_names TEXT NOT NULL DEFAULT 'null'," /* JSON array, or null */
	"  PRIMARY KEY (container_id, network)"
	") STRICT;"
	"CREATE INDEX endpoints_by_network ON endpoints (network_id);"
	"CREATE UNIQUE INDEX endpoints_by_id ON endpoints (endpoint_id) WHERE endpoint_id <> '';"
	"ALTER TABLE containers ADD COLUMN sandbox_id TEXT NOT NULL DEFAULT '';"
	"CREATE TRIGGER containers_leave_networks AFTER DELETE ON containers BEGIN"
	"  DELETE FROM endpoints WHERE container_id = OLD.id;"
	"  DELETE FROM network_addresses WHERE owner = OLD.id;"
	" END;"
	"INSERT INTO endpoints (container_id, network, settings)"
	"  SELECT c.id, e.key, coalesce(e.value, '{}')"
	"  FROM containers c, json_each(c.networking, '$.EndpointsConfig') e;"
	"INSERT INTO endpoints (container_id, network, settings)"
	"  SELECT id, json_extract(host_config, '$.NetworkMode'), '{}' FROM containers"
	"  WHERE coalesce(json_extract(host_config, '$.NetworkMode'), '') <> ''"
	"  AND id NOT IN (SELECT container_id FROM endpoints);";

/* vm_id: '' is the container's own id */
static const char migration_shared_vms[] =
	"ALTER TABLE containers ADD COLUMN vm_id TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE containers ADD COLUMN vm_joined INTEGER NOT NULL DEFAULT 0;";

/* JSON of core/port_choice.c: of use while there is a VM */
static const char migration_chosen_ports[] =
	"ALTER TABLE containers ADD COLUMN chosen_ports TEXT NOT NULL DEFAULT '{}';";

const char *const store_migrations[] = {
	migration_images,   migration_execs_events, migration_containers,
	migration_pulls,    migration_lists,	    migration_pushed_gzip,
	migration_networks, migration_shared_vms,   migration_chosen_ports,
};
const size_t store_migrations_n = ARRAY_SIZE(store_migrations);
