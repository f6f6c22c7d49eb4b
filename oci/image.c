// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci/image.h"

#include "oci/json.h"
#include "oci/names.h"
#include "oci/rows.h"

static const struct oci_field oci_image_mount_fields[] = {
	STR(struct oci_image_mount, point, "point", .flags = OCI_REQ),
	STR(struct oci_image_mount, source, "source", .flags = OCI_REQ),
	STR(struct oci_image_mount, fs, "type", .flags = OCI_REQ),
	STR(struct oci_image_mount, device, "device"),
	STR(struct oci_image_mount, options, "options"),
	BOOL(struct oci_image_mount, external, "external"),
	BOOL(struct oci_image_mount, directory, "directory"),
	ROW_END
};
static TABLE(oci_image_mount);

static const struct oci_field oci_image_file_fields[] = {
	STR(struct oci_image_file, name, "name", .flags = OCI_REQ),
	U64(struct oci_image_file, size, "size"),
	STR(struct oci_image_file, sum, "crc32"),
	ROW_END
};
static TABLE(oci_image_file);

static const struct oci_field oci_image_fields[] = {
	I64(struct oci_image, version, "version", .flags = OCI_REQ | OCI_RANGE, .min = 1, .max = OCI_IMAGE_VERSION),
	STR(struct oci_image, id, "id", .flags = OCI_REQ),
	STR(struct oci_image, created, "created"),
	STR(struct oci_image, machine, "machine", .flags = OCI_REQ),
	STR(struct oci_image, kernel, "kernel"),
	I64(struct oci_image, criu, "criu", NUMBERS(0, INT32_MAX)),
	BOOL(struct oci_image, empty_network, "emptyNetwork"),
	BOOL(struct oci_image, no_cgroups, "noCgroups"),
	BOOL(struct oci_image, terminal, "terminal"),
	BOOL(struct oci_image, pre_dump, "preDump"),
	WORDS(struct oci_image, namespaces, "namespaces", &names_namespaces),
	LIST(struct oci_image, mounts, "mounts", oci_image_mount),
	LIST(struct oci_image, files, "files", oci_image_file),
	STRS(struct oci_image, stdio, "stdio"),
	STRS(struct oci_image, stdio_keys, "stdioKeys"),
	MAP(struct oci_image, nested, "nestedCgroups"),
	MAP(struct oci_image, settings, "settings"),
	CUSTOM(struct oci_image, extensions, "extensions", &oci_state_exts_member),
	PTR(struct oci_image, resources, "resources", oci_resources),
	ROW_END
};
TABLE(oci_image);

int oci_image_parse(const char *text, size_t len, struct oci_image *ret, struct arena *a, struct err *e)
{
	struct json_node *tree;
	int r;

	*ret = (struct oci_image){ 0 };
	r = json_parse(text, len, &tree, a, e);
	if (r == 0)
		r = decode(&oci_image_type, tree, ret, a, e);
	return r < 0 ? err_wrap(e, "%s", OCI_IMAGE_FILE) : 0;
}
