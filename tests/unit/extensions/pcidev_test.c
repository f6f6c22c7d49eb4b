// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extensions/pcidev.h"
#include "tests/lib/test.h"

static char sysfs[] = "/tmp/pcidev-test-XXXXXX";

/* A directory and what is in it, as a script writes it. */
static void make(const char *script)
{
	char command[4096];

	snprintf(command, sizeof command, "cd %s && { %s\n}", sysfs, script);
	CHECK_INT(system(command), 0);
}

static void begin(void)
{
	strcpy(sysfs + strlen(sysfs) - 6, "XXXXXX");
	CHECK(mkdtemp(sysfs) != NULL);
	make("mkdir -p bus/pci/devices bus/pci/drivers/e1000e bus/pci/drivers/vfio-pci class/net class/block kernel/iommu_groups/7/devices "
	     "devices/pci0000:00/0000:00:01.0/0000:01:00.0 devices/pci0000:00/0000:00:01.0/0000:01:00.1 "
	     "&& for d in 0000:00:01.0 0000:00:01.0/0000:01:00.0 0000:00:01.0/0000:01:00.1; do "
	     "ln -s ../../../devices/pci0000:00/$d bus/pci/devices/${d##*/}; "
	     "ln -s ../../../../devices/pci0000:00/$d kernel/iommu_groups/7/devices/${d##*/}; "
	     "ln -s $PWD/kernel/iommu_groups/7 bus/pci/devices/${d##*/}/iommu_group; "
	     "echo 0x020000 >bus/pci/devices/${d##*/}/class; echo '(null)' >bus/pci/devices/${d##*/}/driver_override; done; "
	     "echo 0x060400 >bus/pci/devices/0000:00:01.0/class");
}

static void end(void)
{
	make("rm -r ./*");
	rmdir(sysfs);
}

TEST(names)
{
	static const struct {
		const char *text, *name; /* NULL: refused */
	} cases[] = {
		{ "0000:00:04.0", "0000:00:04.0" }, { "00:04.0", "0000:00:04.0" }, { "ab:1F.7", "0000:ab:1f.7" },
		{ "1:0:4.0", "0001:00:04.0" }, { "00:20.0", NULL }, { "00:04.8", NULL }, { "00:04", NULL }, { "", NULL },
		{ "00:04.0x", NULL }, { " 00:04.0", NULL }, { "-1:04.0", NULL }, { "../04.0", NULL }, { "10000:00:04.0", NULL },
		{ "0000:00:04.0/..", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena a = { 0 };
		const char *name = NULL;
		struct err e = { 0 };

		CHECK_INT(pci_parse(cases[i].text, &name, &a, &e) == 0, cases[i].name != NULL);
		if (cases[i].name)
			CHECK_STR(name, cases[i].name);
	}
}

TEST(a_function_and_its_group)
{
	cleanup_arena struct arena a = { 0 };
	struct pci_function f;
	struct err e = { 0 };

	begin();
	make("ln -s ../../../../bus/pci/drivers/e1000e bus/pci/devices/0000:01:00.0/driver; echo 2 >bus/pci/devices/0000:01:00.0/sriov_numvfs; "
	     "mkdir -p bus/pci/devices/0000:01:00.0/net/eth5/queues bus/pci/devices/0000:01:00.0/virtio9/net/eth6");
	CHECK_INT(pci_look(sysfs, "0000:01:00.0", &f, &a, &e), 0);
	CHECK_STR(f.driver, "e1000e");
	CHECK(f.override == NULL);
	CHECK_STR(f.group, "7");
	CHECK_STR(f.real, "/devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	CHECK_INT(f.vfs, 2);
	/* The bridge is not counted, and not itself. */
	CHECK_INT(f.members.n, 1);
	CHECK_STR(f.members.v[0], "0000:01:00.1");
	CHECK_INT(f.interfaces.n, 2);
	CHECK_INT(strcmp(f.interfaces.v[0], "eth5") == 0 || strcmp(f.interfaces.v[1], "eth5") == 0, 1);
	CHECK_INT(f.nodes.n, 0);
	CHECK(!pci_is_bridge(&f));
	CHECK_INT(pci_look(sysfs, "0000:00:01.0", &f, &a, &e), 0);
	CHECK(pci_is_bridge(&f));
	CHECK(pci_look(sysfs, "0000:01:00.2", &f, &a, &e) < 0);
	CHECK_STR(e.text, "this host has no PCI function 0000:01:00.2");
	end();
}

TEST(nodes_of_a_function)
{
	cleanup_arena struct arena a = { 0 };
	struct pci_function f;
	struct err e = { 0 };
	size_t blocks = 0;

	begin();
	make("d=bus/pci/devices/0000:01:00.0; mkdir -p $d/nvme/nvme0/nvme0n1/nvme0n1p1 $d/other $d/evil; "
	     "echo 242:0 >$d/nvme/nvme0/dev; echo DEVNAME=nvme0 >$d/nvme/nvme0/uevent; "
	     "echo 259:0 >$d/nvme/nvme0/nvme0n1/dev; printf 'MAJOR=259\\nDEVNAME=nvme0n1\\n' >$d/nvme/nvme0/nvme0n1/uevent; "
	     "ln -s /class/block $d/nvme/nvme0/nvme0n1/subsystem; "
	     "echo 259:1 >$d/nvme/nvme0/nvme0n1/nvme0n1p1/dev; echo DEVNAME=nvme0n1p1 >$d/nvme/nvme0/nvme0n1/nvme0n1p1/uevent; "
	     "ln -s /class/block $d/nvme/nvme0/nvme0n1/nvme0n1p1/subsystem; "
	     /* One without a node, and names that lead out of /dev. */
	     "echo 1:1 >$d/other/dev; echo 2:2 >$d/evil/dev; echo DEVNAME=../etc/x >$d/evil/uevent; ln -s ../0000:01:00.1 $d/virtfn0; "
	     "mkdir bus/pci/devices/0000:01:00.1/net; mkdir bus/pci/devices/0000:01:00.1/net/eth9");
	CHECK_INT(pci_look(sysfs, "0000:01:00.0", &f, &a, &e), 0);
	CHECK_INT(f.nodes.n, 3);
	CHECK_INT(f.interfaces.n, 0);
	for (size_t i = 0; i < f.nodes.n; i++) {
		blocks += f.nodes.v[i].type == 'b';
		if (strcmp(f.nodes.v[i].path, "/dev/nvme0n1") == 0) {
			CHECK_STR(f.nodes.v[i].word, "nvme0n1:rw");
			CHECK_INT(f.nodes.v[i].major, 259);
		}
	}
	CHECK_INT(blocks, 2);
	end();
}

TEST(binding_writes_what_the_kernel_wants)
{
	struct err e = { 0 };

	begin();
	/* Plain files do not change the driver: the last resort, bind, is what remains to be written. */
	make("touch bus/pci/drivers_probe bus/pci/drivers/vfio-pci/bind");
	CHECK_INT(pci_bind(sysfs, "0000:01:00.0", PCI_VFIO, PCI_VFIO, &e), 0);
	make("test \"$(cat bus/pci/devices/0000:01:00.0/driver_override)\" = vfio-pci");
	make("test \"$(cat bus/pci/drivers_probe)\" = 0000:01:00.0");
	make("test \"$(cat bus/pci/drivers/vfio-pci/bind)\" = 0000:01:00.0");
	end();
}

TEST(nodes_of_a_group)
{
	cleanup_arena struct arena a = { 0 };
	struct nodes nodes;
	struct err e = { 0 };

	begin();
	make("mkdir -p class/misc/vfio class/vfio/7; echo 10:196 >class/misc/vfio/dev");
	CHECK(pci_vfio_nodes(sysfs, "7", &nodes, &a, &e) < 0);
	CHECK_STR(e.text, "there is no /dev/vfio/7");
	make("echo 236:3 >class/vfio/7/dev");
	CHECK_INT(pci_vfio_nodes(sysfs, "7", &nodes, &a, &e), 0);
	CHECK_INT(nodes.n, 2);
	CHECK_STR(nodes.v[1].path, "/dev/vfio/7");
	CHECK_INT(nodes.v[1].minor, 3);
	end();
}

