// SPDX-License-Identifier: LGPL-2.1-or-later

/* sealed PROGRAM COMMAND [ARGUMENT...]: runs COMMAND with every argument "@" replaced by the path of a sealed copy of
 * PROGRAM.  For valgrind, which cannot follow vzrun into the copy that it makes of itself. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[32];
	struct stat st;
	int from, to;

	if (argc < 3)
		return 2;
	from = open(argv[1], O_RDONLY | O_CLOEXEC);
	to = memfd_create("sealed", MFD_ALLOW_SEALING);
	if (from < 0 || to < 0 || fstat(from, &st) < 0 || sendfile(to, from, NULL, (size_t)st.st_size) != st.st_size ||
	    fchmod(to, 0511) < 0 || fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
		perror(argv[1]);
		return 1;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", to);
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], "@") == 0)
			argv[i] = path;
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 1;
}
