/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of requirements: one made up, a decision that has to succeed,
 * and all that it says as text. Include it behind <cmocka.h>.
 */
#ifndef SLUICE_TESTS_GROUPS_NEEDS_H
#define SLUICE_TESTS_GROUPS_NEEDS_H

#include <sluice/require.h>

#include "util/util.h"

static inline struct sluice_require member(const char *name,
                                           enum sluice_require_type type)
{
	return (struct sluice_require){.name = name, .type = type};
}

static inline struct sluice_decision *decide(const struct sluice_require *m,
                                             uint32_t nr)
{
	struct sluice_decision *d = NULL;

	if (sluice_require_decide(m, nr, &d))
		fail_msg("%s", msg_last());
	return d;
}

/* All that a decision says. */
static inline void write_out(const struct sluice_decision *d, char *buf,
                             size_t len)
{
	const struct sluice_decision_info *i = sluice_decision_get(d);
	size_t n = (size_t)snprintf(buf, len, "%d %s %u %s %llx %llx\n",
	                            i->type, i->type_by ? i->type_by : "-",
	                            i->dma_bits, i->bits_by ? i->bits_by : "-",
	                            (unsigned long long)i->low_first,
	                            (unsigned long long)i->low_bytes);

	for (uint32_t k = 0; k < i->nr_regions && n < len; k++)
		n += (size_t)snprintf(buf + n, len - n, "%llx %llx %d %s\n",
		                      (unsigned long long)i->regions[k].first,
		                      (unsigned long long)i->regions[k].last,
		                      i->regions[k].type, i->regions[k].text);
	for (uint32_t k = 0; k < i->nr_members && n < len; k++)
		n += (size_t)snprintf(buf + n, len - n, "%s\n", i->members[k]);
	assert_true(n < len);
}

#endif
