// SPDX-License-Identifier: LGPL-2.1-or-later

/* What a program that drives a PCI function does first: vfio GROUP FUNCTION [SECONDS [map]] opens the group, maps a megabyte for
 * it, reads the function's configuration space, writes "vendor:device", and keeps everything open for so long; with `map` only
 * a mapping of its first region. */

#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (1 << 20)

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
	struct vfio_group_status status = { .argsz = sizeof status };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof map, .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, .size = SIZE,
	};
	int container = open("/dev/vfio/vfio", O_RDWR), group, device;
	char path[64];
	uint16_t id[2];
	void *memory;

	if (argc < 3)
		return 2;
	snprintf(path, sizeof path, "/dev/vfio/%s", argv[1]);
	group = open(path, O_RDWR);
	if (container < 0 || group < 0)
		return fail("open");
	if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0 || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return fail("the group is not viable");
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0 || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return fail("container");
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map.vaddr = (uintptr_t)memory;
	if (memory == MAP_FAILED || ioctl(container, VFIO_IOMMU_MAP_DMA, &map) < 0)
		return fail("map");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
	if (device < 0 || ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) < 0)
		return fail("device");
	if (pread(device, id, sizeof id, (off_t)config.offset) != sizeof id)
		return fail("read");
	printf("%04x:%04x\n", id[0], id[1]);
	fflush(stdout);
	if (argc > 4) {
		struct vfio_region_info bar = { .argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX };

		if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) < 0 ||
		    mmap(NULL, bar.size, PROT_READ, MAP_SHARED, device, (off_t)bar.offset) == MAP_FAILED)
			return fail("map of a region");
		close(device);
		close(group);
		close(container);
	}
	if (argc > 3)
		sleep((unsigned)atoi(argv[3]));
	return 0;
}
