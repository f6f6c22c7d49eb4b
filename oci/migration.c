// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/migration.h"

#include "oci/json.h"
#include "oci/names.h"
#include "oci/rows.h"

static const struct oci_name rootfs_list[] = { { "copy", MIGRATION_COPY }, { "shared", MIGRATION_SHARED }, { NULL, 0 } };
static const struct oci_names rootfs_words = { .v = rootfs_list };
static const struct oci_name fate_list[] = {
	{ "pending", MIGRATION_PENDING }, { "committed", MIGRATION_COMMITTED }, { "aborted", MIGRATION_ABORTED },
	{ "unknown", MIGRATION_UNKNOWN }, { "fetching", MIGRATION_FETCHING }, { "lost", MIGRATION_LOST }, { NULL, 0 },
};
static const struct oci_names fate_words = { .v = fate_list };

static const struct oci_field migration_hello_fields[] = {
	I64(struct migration_hello, protocol, "protocol", .flags = OCI_REQ | OCI_RANGE, .min = 1, .max = INT32_MAX),
	STR(struct migration_hello, vzrun, "vzrun"),
	STR(struct migration_hello, host, "host"),
	ROW_END
};
TABLE(migration_hello);

static const struct oci_field migration_offer_fields[] = {
	STR(struct migration_offer, token, "token", .flags = OCI_REQ),
	STR(struct migration_offer, id, "id", .flags = OCI_REQ),
	STR(struct migration_offer, bundle, "bundle", .flags = OCI_REQ),
	WORD(struct migration_offer, rootfs, "rootfs", &rootfs_words),
	STR(struct migration_offer, marker, "marker"),
	STR(struct migration_offer, document, "document", .flags = OCI_REQ),
	STR(struct migration_offer, machine, "machine", .flags = OCI_REQ),
	STR(struct migration_offer, kernel, "kernel"),
	STR(struct migration_offer, cpu, "cpu"),
	I64(struct migration_offer, criu, "criu", NUMBERS(0, INT32_MAX)),
	STR(struct migration_offer, driver, "driver", .flags = OCI_REQ),
	STR(struct migration_offer, cgroups, "cgroups", .flags = OCI_REQ),
	BOOL(struct migration_offer, compress, "compress"),
	BOOL(struct migration_offer, lazy, "lazy"),
	U64(struct migration_offer, memory, "memory"),
	U64(struct migration_offer, files, "files"),
	STRS(struct migration_offer, sources, "sources"),
	STRS(struct migration_offer, namespaces, "namespaces"),
	ROW_END
};
TABLE(migration_offer);

static const struct oci_field migration_answer_fields[] = {
	STRS(struct migration_answer, problems, "problems"),
	STRS(struct migration_answer, doubts, "doubts"),
	ROW_END
};
TABLE(migration_answer);

static const struct oci_field migration_restore_fields[] = {
	STR(struct migration_restore, images, "images", .flags = OCI_REQ),
	BOOL(struct migration_restore, tcp_established, "tcpEstablished"),
	BOOL(struct migration_restore, file_locks, "fileLocks"),
	BOOL(struct migration_restore, ext_unix_sk, "extUnixSk"),
	BOOL(struct migration_restore, shell_job, "shellJob"),
	BOOL(struct migration_restore, lazy, "lazy"),
	ROW_END
};
TABLE(migration_restore);

static const struct oci_field migration_question_fields[] = {
	STR(struct migration_question, token, "token", .flags = OCI_REQ),
	STR(struct migration_question, id, "id", .flags = OCI_REQ),
	ROW_END
};
TABLE(migration_question);

static const struct oci_field migration_record_fields[] = {
	STR(struct migration_record, token, "token", .flags = OCI_REQ),
	STR(struct migration_record, id, "id"),
	WORD(struct migration_record, fate, "fate", &fate_words),
	I64(struct migration_record, pid, "pid", NUMBERS(0, INT32_MAX)),
	U64(struct migration_record, start_time, "startTime"),
	STR(struct migration_record, work, "work"),
	STR(struct migration_record, bundle, "bundle"),
	STR(struct migration_record, made, "made"),
	STR(struct migration_record, created, "created"),
	BOOL(struct migration_record, ran, "ran"),
	ROW_END
};
TABLE(migration_record);

int migration_parse(const struct oci_type *type, const char *text, size_t len, void *ret, struct arena *a, struct err *e)
{
	struct json_node *tree;

	if (json_parse(text, len, &tree, a, e) < 0 || decode(type, tree, ret, a, e) < 0)
		return err_wrap(e, "%s", type->name);
	return 0;
}
