// SPDX-License-Identifier: LGPL-2.1-or-later

/* libprotobuf-c, opened on first use: the functions that generated code calls hand on to it.  protobuf_open() comes before any
 * of them. */

#include "runtime/flow/protobuf.h"

#if HAVE_PROTOBUF_C

#include <dlfcn.h>
#include <protobuf-c/protobuf-c.h>
#include <string.h>

#include "runtime/base/str.h"

static struct {
	typeof(protobuf_c_message_get_packed_size) *get_packed_size;
	typeof(protobuf_c_message_pack) *pack;
	typeof(protobuf_c_message_pack_to_buffer) *pack_to_buffer;
	typeof(protobuf_c_message_unpack) *unpack;
	typeof(protobuf_c_message_free_unpacked) *free_unpacked;
	bool loaded;
} pb;

int protobuf_open(struct err *e)
{
	const struct {
		void *to;
		const char *name;
	} symbols[] = {
		{ &pb.get_packed_size, "protobuf_c_message_get_packed_size" },
		{ &pb.pack, "protobuf_c_message_pack" },
		{ &pb.pack_to_buffer, "protobuf_c_message_pack_to_buffer" },
		{ &pb.unpack, "protobuf_c_message_unpack" },
		{ &pb.free_unpacked, "protobuf_c_message_free_unpacked" },
	};
	void *handle;

	if (pb.loaded)
		return 0;
	handle = dlopen("libprotobuf-c.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return err_set(e, ERR_UNSUPPORTED, 0, "libprotobuf-c cannot be loaded: %s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(handle, symbols[i].name);

		if (!p)
			return err_set(e, ERR_UNSUPPORTED, 0, "libprotobuf-c has no %s", symbols[i].name);
		memcpy(symbols[i].to, &p, sizeof p);
	}
	pb.loaded = true;
	return 0;
}

size_t protobuf_c_message_get_packed_size(const ProtobufCMessage *message)
{
	return pb.get_packed_size(message);
}

size_t protobuf_c_message_pack(const ProtobufCMessage *message, uint8_t *out)
{
	return pb.pack(message, out);
}

size_t protobuf_c_message_pack_to_buffer(const ProtobufCMessage *message, ProtobufCBuffer *buffer)
{
	return pb.pack_to_buffer(message, buffer);
}

ProtobufCMessage *protobuf_c_message_unpack(const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator, size_t len,
					    const uint8_t *data)
{
	return pb.unpack(descriptor, allocator, len, data);
}

void protobuf_c_message_free_unpacked(ProtobufCMessage *message, ProtobufCAllocator *allocator)
{
	pb.free_unpacked(message, allocator);
}

#else

int protobuf_open(struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, 0, "this vzrun was built without protobuf-c, which CRIU is spoken to with");
}

#endif
