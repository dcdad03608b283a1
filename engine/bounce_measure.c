/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a copy and what a mapping costs on this machine, and from which length
 * on the mapping is the cheaper. Knows nothing of slots. Minima of a few
 * rounds: what a neighbour takes from us says nothing about either way.
 */
#include "engine/bounce.h"

#include <errno.h>

#define ROUNDS 9
/* Bytes that are copied between two readings of the clock. */
#define COPY_BYTES (64u << 10)
/* Mappings between two readings; none waits for a ticket. */
#define MAPS 32u

/* ---- copies ---- */

/* One copy in, and the wiping after it. */
static uint64_t time_copy(bool words, char *slot, const char *from,
                          uint64_t len)
{
	uint64_t repeat = max_u64(COPY_BYTES / len, 1), best = UINT64_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = clock_ns();

		for (uint64_t k = 0; k < repeat; k++) {
			/* Not the page that is in the nearest cache. */
			copy_bytes(words, slot, from + k % 4 * len, len);
			copy_wipe(words, slot, len);
		}
		best = min_u64(best, (clock_ns() - start) / repeat);
	}
	return best;
}

static void time_copies(char *slot, const char *from, uint64_t max_len,
                        struct bounce_costs *costs)
{
	uint64_t library = time_copy(false, slot, from, SLUICE_PAGE_SIZE);
	uint64_t own = time_copy(true, slot, from, SLUICE_PAGE_SIZE);

	costs->words = own < library;
	/* A time of 0 would say that nothing was measured. */
	costs->copy_page_ns = max_u64(min_u64(own, library), 1);
	costs->copy_max_ns =
	        max_len == SLUICE_PAGE_SIZE
	                ? costs->copy_page_ns
	                : max_u64(time_copy(costs->words, slot, from, max_len),
	                          1);
}

/* ---- mappings by a kernel ---- */

/* 0: refused; *ret_stuck when a mapping was not taken back. Leaves out what
 * hands a request to the helper and back: the device waits for that too, but
 * no processor has to work for it. */
static uint64_t time_kernel(struct sluice_domain *d, uint64_t iova, void *va,
                            uint64_t len, bool *ret_stuck)
{
	const struct backend_ops *ops = d->be->ops;
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = clock_ns();

		if (ops->map_now(d->be, iova, (uintptr_t)va, len, SLUICE_READ))
			return 0;
		if (ops->unmap_now(d->be, iova, len)) {
			*ret_stuck = true;
			return 0;
		}
		best = min_u64(best, clock_ns() - start);
	}
	return max_u64(best, 1);
}

static void time_kernel_maps(struct sluice_domain *d, void *va,
                             uint64_t max_len, struct bounce_costs *costs)
{
	bool stuck = false;
	uint64_t iova;

	/* No view of the domain can translate there: no leaf is written. */
	if (iova_space_alloc(d->iova, max_len, SLUICE_PAGE_LG2, IOVA_ANY,
	                     &iova))
		return;
	costs->map_page_ns = time_kernel(d, iova, va, SLUICE_PAGE_SIZE, &stuck);
	if (costs->map_page_ns)
		costs->map_max_ns = time_kernel(d, iova, va, max_len, &stuck);
	if (!costs->map_max_ns)
		costs->map_page_ns = 0;
	if (!stuck)
		iova_space_free(d->iova, iova, max_len);
}

/* ---- mappings by an engine of our own, where nobody else is ---- */

struct lab {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_lane *lane;
	struct sluice_view *view;
};

static void lab_close(struct lab *lab)
{
	/* Nobody else is there, so a turn or two of this lane end it, however
	 * long the machine stands still meanwhile. */
	if (lab->view && sluice_drain(lab->lane, UINT64_MAX))
		return; /* not our lane: cannot be */
	(void)sluice_view_close(lab->view);
	(void)sluice_lane_close(lab->lane);
	(void)sluice_domain_destroy(lab->domain);
	if (lab->engine)
		(void)sluice_engine_close(lab->engine);
}

static int lab_open(const struct sluice_domain *like, struct lab *lab)
{
	struct sluice_engine_cfg engine = {.max_lanes = 1,
	                                   .max_table_bytes = 16u << 20};
	struct sluice_domain_cfg domain = {.format = like->cfg.format,
	                                   .iova_bits = like->cfg.iova_bits};
	int rc = sluice_engine_open(&engine, &lab->engine);

	if (!rc)
		rc = sluice_domain_create(lab->engine, &domain, &lab->domain);
	if (!rc)
		rc = sluice_lane_open(lab->engine, NULL, &lab->lane);
	if (!rc)
		rc = sluice_view_open(lab->lane, lab->domain, &lab->view);
	if (rc)
		lab_close(lab);
	return rc;
}

static int lab_map(struct lab *lab, uint64_t len, uint32_t prot)
{
	/* Any address: a soft domain does not look there. */
	struct sluice_map_req req = {.va = 1u << 30, .len = len, .prot = prot};
	sluice_iova_t iova;
	int rc = sluice_map(lab->view, &req, &iova);

	return rc < 0 ? rc : sluice_unmap(lab->view, iova, len, 0, NULL);
}

/* 0: refused. */
static uint64_t time_own(struct lab *lab, uint64_t len)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = clock_ns();

		for (unsigned k = 0; k < MAPS; k++) {
			if (lab_map(lab, len, SLUICE_RW) < 0)
				return 0;
			sluice_poll(lab->lane, NULL, 0);
		}
		best = min_u64(best, (clock_ns() - start) / MAPS);
	}
	return max_u64(best, 1);
}

int bounce_learn(struct sluice_domain *d, struct bounce_costs *costs)
{
	struct lab lab = {0};
	int rc = lab_open(d, &lab);

	if (rc)
		return rc;
	costs->write_only = lab_map(&lab, SLUICE_PAGE_SIZE, SLUICE_WRITE) >= 0;
	lab_close(&lab);
	return 0;
}

static int time_own_maps(struct sluice_domain *d, uint64_t max_len,
                         struct bounce_costs *costs)
{
	struct lab lab = {0};
	int rc = lab_open(d, &lab);

	if (rc)
		return rc;
	costs->map_page_ns = time_own(&lab, SLUICE_PAGE_SIZE);
	costs->map_max_ns = time_own(&lab, max_len);
	lab_close(&lab);
	return 0;
}

int bounce_measure(struct sluice_domain *d, void *slot, uint64_t max_len,
                   bool maps, struct bounce_costs *costs)
{
	uint64_t len = max_u64(4 * max_len, COPY_BYTES);
	void *from = sys_reserve(len);
	int rc = 0;

	if (!from)
		return msg_lit(-ENOMEM, "no memory to measure copies with: "
		                        "give a smaller max_len");
	/* Pages of its own: unwritten memory is one page of zeroes. */
	for (uint64_t i = 0; i < len; i += SLUICE_PAGE_SIZE)
		((volatile char *)from)[i] = 1;
	time_copies(slot, from, max_len, costs);
	if (maps && d->be) {
		pthread_mutex_lock(&d->lock);
		time_kernel_maps(d, from, max_len, costs);
		pthread_mutex_unlock(&d->lock);
	} else if (maps) {
		rc = time_own_maps(d, max_len, costs);
	}
	(void)sys->munmap(from, len);
	return rc;
}

uint64_t bounce_break_even(const struct bounce_costs *c, uint64_t max_len)
{
	double more = (double)(max_len - SLUICE_PAGE_SIZE);
	double ahead, loses, even;

	/* Without a mapping to compare with, whatever fits is copied. */
	if (!c->map_page_ns || !c->map_max_ns)
		return UINT64_MAX;
	if (c->copy_page_ns > c->map_page_ns)
		return 0;
	if (c->copy_max_ns <= c->map_max_ns)
		return UINT64_MAX;
	/* Both grow in a straight line from one page on. Now max_len is more
	 * than a page, and the copy falls behind before it. */
	ahead = (double)(c->map_page_ns - c->copy_page_ns);
	loses = ((double)c->copy_max_ns - (double)c->copy_page_ns) -
	        ((double)c->map_max_ns - (double)c->map_page_ns);
	even = ahead / loses * more + SLUICE_PAGE_SIZE;
	return align_down((uint64_t)even, SLUICE_PAGE_LG2);
}
