/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where something was made: a page of its own, marked MADV_WIPEONFORK.
 */
#include "util/home.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/sys.h"

#define PAGE 4096u
#define NO_ADVICE (-1)

int home_open(struct home **ret_home)
{
	struct home *home;
	void *page = NULL;
	uint32_t here;

	if (sys->mmap(&page, PAGE, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
		return -ENOMEM;
	home = page;
	home->pid = getpid();
	/* Refused before Linux 4.14. Some emulators agree to anything and do
	 * nothing: they agree also to what is no advice. */
	here = 2;
	if (sys->madvise(page, PAGE, NO_ADVICE) &&
	    sys->madvise(page, PAGE, MADV_WIPEONFORK) == 0)
		here = 1;
	st_rlx(&home->here, here);
	*ret_home = home;
	return 0;
}

void home_close(struct home *home)
{
	if (home)
		(void)sys->munmap(home, PAGE);
}

bool home_ask(const struct home *home)
{
	uint32_t here = ld_rlx(&home->here);

	return here == 1 || (here == 2 && home->pid == getpid());
}
