/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What several rooms do with the table: small files of the kernel's read whole,
 * address space reserved. Knows no format and no owner.
 */
#include "util/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = sys->read(fd, buf + n, size - n);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return got;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

ssize_t sys_read_file(int at, const char *path, char *buf, size_t size)
{
	int fd = sys->openat(at, path,
	                     O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys->fstatat(fd, "", &st, AT_EMPTY_PATH);
	if (n == 0)
		n = S_ISREG(st.st_mode) ? read_all(fd, buf, size) : -EINVAL;
	(void)sys->close(fd);
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return -EFBIG;
	buf[n] = '\0';
	return n;
}

void *sys_reserve(size_t len)
{
	void *p = NULL;

	(void)sys->mmap(&p, len, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p;
}
