/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle. Knows pages by the results of calls; neither table nor backend.
 */
#include "tests/faults/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/faults/docs.h"
#include "util/util.h"

#define MAX_KERNEL 128

void wrong(struct run *r, const char *fmt, ...)
{
	va_list ap;

	if (r->wrong++ > 8)
		return;
	fprintf(stderr, "%s, %s: ", r->w->name, r->about);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void quiet(void)
{
	(void)msg_lit(0, "");
}

bool again(struct run *r, const char *fn, int rc)
{
	if (rc >= 0) {
		r->tries = 0;
		return false;
	}
	r->errors++;
	if (!inject_fired())
		wrong(r, "%s: %s although no call failed (%s)", fn,
		      sluice_errname(rc), sluice_last_error());
	else if (r->tries)
		wrong(r, "%s fails again: %s (%s)", fn, sluice_errname(rc),
		      sluice_last_error());
	else if (!docs_list(fn, rc))
		wrong(r, "%s: %s is not documented (%s)", fn,
		      sluice_errname(rc), sluice_last_error());
	else if (!*sluice_last_error())
		wrong(r, "%s: %s without a message", fn, sluice_errname(rc));
	if (r->tries++)
		r->tries = 0;
	return r->tries != 0;
}

struct live *live_new(struct run *r)
{
	for (uint32_t i = 0; i < MAX_LIVE; i++)
		if (!r->live[i].nr)
			return &r->live[i];
	wrong(r, "the oracle is full");
	return &r->live[0];
}

void maybe_add(struct run *r, uint64_t iova, uint64_t len)
{
	r->maybe[r->nr_maybe % MAX_LIVE] = (struct range){iova, len};
	r->nr_maybe++;
}

static bool inside(const struct range *x, uint64_t iova)
{
	return iova - x->iova < x->len;
}

/* May the kernel have a mapping that reaches iova? */
static bool allowed(const struct run *r, uint64_t iova)
{
	for (uint32_t i = 0; i < MAX_LIVE; i++) {
		const struct live *l = &r->live[i];

		if (iova - l->iova < (uint64_t)l->nr * PAGE)
			return true;
	}
	for (uint32_t i = 0; i < 2; i++)
		if (inside(&r->arena_at[i], iova))
			return true;
	for (uint32_t i = 0; i < r->nr_maybe && i < MAX_LIVE; i++)
		if (inside(&r->maybe[i], iova))
			return true;
	return false;
}

static void compare_page(struct run *r, const char *when, uint64_t iova,
                         uint64_t va)
{
	uint64_t oa = 0, reached = 0;

	for (unsigned i = 0; i < LANES; i++)
		if (r->view[i] && (sluice_translate(r->view[i], iova, PAGE,
		                                    SLUICE_RW, &oa) != PAGE ||
		                   oa != va))
			wrong(r,
			      "%s: lane %u translates 0x%llx to 0x%llx, not "
			      "0x%llx",
			      when, i, (unsigned long long)iova,
			      (unsigned long long)oa, (unsigned long long)va);
	if (is_kernel(r) &&
	    (!fake_vfio_reach(iova, &reached, NULL) || reached != va))
		wrong(r, "%s: a device at 0x%llx reaches 0x%llx, not 0x%llx",
		      when, (unsigned long long)iova,
		      (unsigned long long)reached, (unsigned long long)va);
}

static void compare_budget(struct run *r, const char *when, uint32_t nr)
{
	struct sluice_domain_info info;

	sluice_domain_get_info(r->domain, &info);
	if (info.nr_groups && info.mappings_left != 65535 - nr)
		wrong(r, "%s: %llu mappings left, %u in use", when,
		      (unsigned long long)info.mappings_left, nr);
}

void compare(struct run *r, const char *when)
{
	struct fake_vfio_mapping m[MAX_KERNEL];
	uint32_t nr;

	for (uint32_t i = 0; i < MAX_LIVE; i++)
		for (uint32_t p = 0; p < r->live[i].nr; p++)
			compare_page(r, when, r->live[i].iova + p * PAGE,
			             r->live[i].va[p]);
	if (!is_kernel(r))
		return;
	nr = fake_vfio_mappings(m, MAX_KERNEL);
	if (nr > MAX_KERNEL)
		wrong(r, "%s: %u mappings in the kernel", when, nr);
	for (uint32_t i = 0; i < nr && i < MAX_KERNEL; i++)
		for (uint64_t at = 0; at < m[i].len; at += PAGE)
			if (!allowed(r, m[i].iova + at)) {
				wrong(r,
				      "%s: the kernel maps 0x%llx, nobody "
				      "else does",
				      when,
				      (unsigned long long)(m[i].iova + at));
				break;
			}
	if (r->domain)
		compare_budget(r, when, nr);
}
