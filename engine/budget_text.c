/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A budget in words: what does not fit, by how much, and what to type. Knows
 * the numbers of struct sluice_budget and the commands of a Linux machine.
 */
#include <sluice/budget.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "util/util.h"

#define ENTRY_LIMIT "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"

typedef unsigned long long ull;

/* What was written, and what would have been. */
struct text {
	char *buf;
	size_t room, len;
};

static void __attribute__((format(printf, 2, 3)))
say(struct text *t, const char *fmt, ...)
{
	size_t at = t->len < t->room ? t->len : t->room;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf ? t->buf + at : NULL, t->room - at, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* How much of more is beyond what is left. */
static uint64_t missing(uint64_t used, uint64_t limit, uint64_t more)
{
	if (limit == UINT64_MAX || sum(used, more) <= limit)
		return 0;
	return sum(used, more) - limit;
}

static bool no_mappings(struct text *t, const struct sluice_budget *b,
                        uint64_t more)
{
	uint64_t lack = missing(0, b->mappings_left, more);
	uint64_t need = sum(b->mappings_limit, lack);

	if (!lack)
		return false;
	say(t,
	    "Not enough mappings: %llu wanted, %llu left, %llu missing. Use an "
	    "arena: it is one mapping for all its buffers. ",
	    (ull)more, (ull)b->mappings_left, (ull)lack);
	if (b->entry_limit != UINT64_MAX && b->entry_limit >= need)
		say(t,
		    "Or create the domain anew: dma_entry_limit is %llu by "
		    "now, and a container keeps what it was opened with.",
		    (ull)b->entry_limit);
	else
		say(t,
		    "Or as root 'echo %llu > " ENTRY_LIMIT
		    "', then create the domain anew: a container keeps the "
		    "limit it was opened with.",
		    (ull)need);
	return true;
}

/* A limit of bytes that just suffices, in whole KiB: `ulimit -l` takes these.
 */
static uint64_t in_kib(uint64_t bytes)
{
	return bytes / 1024 + (bytes % 1024 != 0);
}

static bool no_locked(struct text *t, const struct sluice_budget *b,
                      uint64_t more)
{
	uint64_t lack = missing(b->locked_bytes, b->locked_limit, more);
	uint64_t kib = in_kib(sum(b->locked_bytes, more));
	char who[32] = "root";

	if (!lack)
		return false;
	/* limits.conf(5): a range of users, which does not reach root. */
	if (getuid())
		snprintf(who, sizeof(who), "%u:%u", (unsigned)getuid(),
		         (unsigned)getuid());
	say(t,
	    "%sNot enough locked memory: %llu bytes wanted, %llu left (%llu of "
	    "%llu locked, RLIMIT_MEMLOCK), %llu bytes missing. ",
	    t->len ? " " : "", (ull)more, (ull)(lack < more ? more - lack : 0),
	    (ull)b->locked_bytes, (ull)b->locked_limit, (ull)lack);
	if (kib <= b->locked_hard_limit / 1024) {
		say(t,
		    "Start the program after 'ulimit -l %llu', or now "
		    "'prlimit --pid %u --memlock=%llu:'.",
		    (ull)kib, (unsigned)b->pid, (ull)kib * 1024);
		return true;
	}
	say(t,
	    "As root now 'prlimit --pid %u --memlock=%llu', or start the "
	    "program after 'ulimit -l %llu'; for good 'echo \"%s - memlock "
	    "%llu\" > /etc/security/limits.d/sluice.conf' and log in again, "
	    "or LimitMEMLOCK=%llu in its systemd unit.",
	    (unsigned)b->pid, (ull)kib * 1024, (ull)kib, who, (ull)kib,
	    (ull)kib * 1024);
	return true;
}

/* Memory may be there already, and page cache may go: no refusal, a hint. */
static void cgroup(struct text *t, const struct sluice_budget *b, uint64_t more)
{
	uint64_t lack = missing(b->cgroup_bytes, b->cgroup_limit, more);

	if (lack)
		say(t,
		    "%sIf the memory is not present yet, the cgroup may lack "
		    "%llu bytes: 'echo %llu > %s/memory.max'.",
		    t->len ? " " : "", (ull)lack,
		    (ull)sum(b->cgroup_bytes, more), b->cgroup);
}

static void left(struct text *t, const char *what, uint64_t used,
                 uint64_t limit)
{
	if (limit == UINT64_MAX)
		say(t, "any number of %s", what);
	else
		say(t, "%llu %s", (ull)(used < limit ? limit - used : 0), what);
}

size_t sluice_budget_explain(const struct sluice_budget *b, uint64_t mappings,
                             uint64_t bytes, char *buf, size_t len)
{
	struct text t = {buf, buf ? len : 0, 0};
	bool full;

	if (t.room)
		buf[0] = '\0';
	if (!b)
		return 0;
	bytes = sum(bytes, SLUICE_PAGE_SIZE - 1) & ~mask64(SLUICE_PAGE_LG2);
	full = no_mappings(&t, b, mappings);
	full |= no_locked(&t, b, bytes);
	if (!full) {
		say(&t, "It fits: ");
		left(&t, "mappings", 0, b->mappings_left);
		say(&t, " and ");
		left(&t, "bytes", b->locked_bytes, b->locked_limit);
		say(&t, " are left.");
	}
	cgroup(&t, b, bytes);
	return t.len;
}
