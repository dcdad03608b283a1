/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which IOVAs a domain may use: the table format, the caller's configuration
 * and the kernel each cut a piece away; what is left goes to the allocator.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RANGES 256

/* Ascending, disjoint. */
struct ranges {
	uint32_t nr;
	struct sluice_range r[MAX_RANGES];
};

static int add(struct ranges *s, uint64_t first, uint64_t last)
{
	/* Whole pages inside [first, last]; last + 1 may be 2^64. */
	first = first > ~mask64(SLUICE_PAGE_LG2)
	                ? first
	                : align_up(first, SLUICE_PAGE_LG2);
	if (!aligned_lg2(last + 1, SLUICE_PAGE_LG2)) {
		if (last < SLUICE_PAGE_SIZE)
			return 0;
		last = align_down(last + 1, SLUICE_PAGE_LG2) - 1;
	}
	if (first > last || !aligned_lg2(first, SLUICE_PAGE_LG2))
		return 0;
	if (s->nr == MAX_RANGES)
		return msg_fmt(-EINVAL,
		               "the aperture falls into more than %u pieces: "
		               "give fewer reserved ranges",
		               MAX_RANGES);
	s->r[s->nr++] = (struct sluice_range){first, last};
	return 0;
}

/* Cuts [first, last] out of the set. */
static int cut(struct ranges *s, uint64_t first, uint64_t last)
{
	struct ranges *old = malloc(sizeof(*old));
	int rc = 0;

	if (!old)
		return msg_lit(-ENOMEM, "no memory to compute the aperture");
	*old = *s;
	s->nr = 0;
	for (uint32_t i = 0; i < old->nr && rc == 0; i++) {
		struct sluice_range *r = &old->r[i];

		if (!ranges_overlap(r->first, r->last, first, last)) {
			rc = add(s, r->first, r->last);
			continue;
		}
		if (r->first < first)
			rc = add(s, r->first, first - 1);
		if (rc == 0 && r->last > last)
			rc = add(s, last + 1, r->last);
	}
	free(old);
	return rc;
}

/* Keeps what also lies in one of the n ascending ranges of keep. */
static int keep_only(struct ranges *s, const struct sluice_range *keep,
                     uint32_t n)
{
	uint64_t at = 0;
	int rc;

	for (uint32_t i = 0; i < n; i++) {
		if (keep[i].first > keep[i].last || keep[i].first < at)
			return msg_lit(-EIO, "the kernel's IOVA ranges are not "
			                     "ascending");
		if (keep[i].first > at) {
			rc = cut(s, at, keep[i].first - 1);
			if (rc)
				return rc;
		}
		if (keep[i].last == UINT64_MAX)
			return 0;
		at = keep[i].last + 1;
	}
	return cut(s, at, UINT64_MAX);
}

/* The kernel's ranges; *ret_keep is freed by the caller. */
static int backend_ranges(struct sluice_domain *d,
                          struct sluice_range **ret_keep)
{
	struct sluice_range *keep = calloc(MAX_RANGES, sizeof(*keep));
	int n;

	if (!keep)
		return msg_lit(-ENOMEM, "no memory to compute the aperture");
	n = d->be->ops->usable(d->be, keep, MAX_RANGES);
	if (n < 0 || n > MAX_RANGES) {
		free(keep);
		return n < 0 ? n
		             : msg_fmt(-EINVAL,
		                       "the kernel reports %d IOVA ranges; at "
		                       "most %u are understood",
		                       n, MAX_RANGES);
	}
	*ret_keep = keep;
	return n;
}

static int compute(struct sluice_domain *d, struct ranges *s)
{
	const struct sluice_domain_cfg *cfg = &d->cfg;
	uint64_t first = cfg->first, last = cfg->last;
	struct sluice_range *keep = NULL;
	int rc;

	if (first == 0 && last == 0) {
		/* Page 0 stays free: a device that uses a null address must
		 * fault. */
		first = cfg->flags & SLUICE_DOMAIN_CALLER_IOVA
		                ? 0
		                : SLUICE_PAGE_SIZE;
		last = pt_max_iova(d->pt);
	} else if (last > pt_max_iova(d->pt)) {
		return msg_fmt(-EINVAL,
		               "the aperture ends at 0x%llx, the table format "
		               "at 0x%llx: use a wider format",
		               (unsigned long long)last,
		               (unsigned long long)pt_max_iova(d->pt));
	}
	s->nr = 0;
	rc = add(s, first, last);
	for (uint32_t i = 0; i < cfg->nr_reserved && rc == 0; i++) {
		if (cfg->reserved[i].first > cfg->reserved[i].last)
			return msg_fmt(-EINVAL,
			               "reserved range %u ends before it "
			               "begins",
			               i);
		rc = cut(s, cfg->reserved[i].first, cfg->reserved[i].last);
	}
	if (rc == 0 && d->be) {
		int n = backend_ranges(d, &keep);

		rc = n < 0 ? n : keep_only(s, keep, (uint32_t)n);
		free(keep);
	}
	if (rc == 0 && s->nr == 0)
		rc = msg_lit(-EINVAL, "nothing is left of the aperture once "
		                      "the reserved ranges are taken out");
	return rc;
}

static int remember(struct sluice_domain *d, const struct ranges *s)
{
	struct sluice_range *copy = calloc(s->nr, sizeof(*copy));

	if (!copy)
		return msg_lit(-ENOMEM, "no memory for the aperture");
	memcpy(copy, s->r, s->nr * sizeof(*copy));
	free(d->usable);
	d->usable = copy;
	d->nr_usable = s->nr;
	st_rlx(&d->first, s->r[0].first);
	st_rlx(&d->last, s->r[s->nr - 1].last);
	return 0;
}

int aperture_window(const struct sluice_domain *d, uint32_t flags)
{
	uint32_t n = (flags & MAP_WINDOWS) >> MAP_WINDOW_SHIFT;

	if (!n)
		return flags & SLUICE_MAP_32BIT ? IOVA_32BIT : IOVA_ANY;
	if (flags & SLUICE_MAP_32BIT)
		return msg_lit(-EINVAL, "SLUICE_MAP_WINDOW and "
		                        "SLUICE_MAP_32BIT exclude each other");
	if (n > d->cfg.nr_windows)
		return msg_fmt(-EINVAL,
		               "there is no window %u: the domain was created "
		               "with %u",
		               n, d->cfg.nr_windows);
	return (int)(IOVA_WINDOW + n - 1);
}

int aperture_copy_windows(struct sluice_domain_cfg *cfg)
{
	struct sluice_range *copy;

	if (!cfg->nr_windows) {
		cfg->windows = NULL; /* the caller's: not ours to free */
		return 0;
	}
	if (!cfg->windows || cfg->nr_windows > SLUICE_MAX_WINDOWS)
		return msg_fmt(-EINVAL,
		               "nr_windows is %u: at most %d, and windows "
		               "must not be NULL",
		               cfg->nr_windows, SLUICE_MAX_WINDOWS);
	for (uint32_t i = 0; i < cfg->nr_windows; i++)
		if (cfg->windows[i].first > cfg->windows[i].last ||
		    !aligned_lg2(cfg->windows[i].first, SLUICE_PAGE_LG2) ||
		    !aligned_lg2(cfg->windows[i].last + 1, SLUICE_PAGE_LG2))
			return msg_fmt(-EINVAL,
			               "window %u is not whole 4 KiB pages "
			               "with first <= last (last is the last "
			               "byte)",
			               i + 1);
	copy = calloc(cfg->nr_windows, sizeof(*copy));
	if (!copy)
		return msg_lit(-ENOMEM, "no memory for the windows");
	memcpy(copy, cfg->windows, cfg->nr_windows * sizeof(*copy));
	cfg->windows = copy;
	return 0;
}

int aperture_init(struct sluice_domain *d)
{
	struct ranges *s = malloc(sizeof(*s));
	int rc;

	if (!s)
		return msg_lit(-ENOMEM, "no memory to compute the aperture");
	rc = compute(d, s);
	if (rc == 0)
		rc = remember(d, s);
	if (rc == 0 && !(d->cfg.flags & SLUICE_DOMAIN_CALLER_IOVA)) {
		rc = iova_space_create_windows(s->r, s->nr, d->cfg.windows,
		                               d->cfg.nr_windows, &d->iova);
		if (rc)
			rc = msg_lit(rc, "cannot set up the IOVA allocator "
			                 "for this aperture");
	}
	free(s);
	return rc;
}

/* What was usable and is not any more leaves the allocator: all of it, or
 * nothing when a part is in use. */
static int take_out(struct sluice_domain *d, const struct ranges *now)
{
	struct ranges *gone = malloc(sizeof(*gone));
	uint32_t refused = 0;
	int rc = 0;

	if (!gone)
		return msg_lit(-ENOMEM, "no memory to compute the aperture");
	gone->nr = 0;
	for (uint32_t i = 0; i < d->nr_usable && rc == 0; i++)
		rc = add(gone, d->usable[i].first, d->usable[i].last);
	for (uint32_t i = 0; i < now->nr && rc == 0; i++)
		rc = cut(gone, now->r[i].first, now->r[i].last);
	for (uint32_t i = 0; i < gone->nr && rc == 0; i++)
		rc = attach_check_range(d, &gone->r[i], NULL);
	if (rc == 0 && d->iova) {
		rc = iova_space_reserve_all(d->iova, gone->r, gone->nr,
		                            &refused);
		if (rc)
			rc = attach_in_hand(d, rc, &gone->r[refused]);
	}
	free(gone);
	return rc;
}

static int shrink_to(struct sluice_domain *d, const struct ranges *now)
{
	int rc = now->nr ? take_out(d, now)
	                 : msg_lit(-EBUSY, "nothing would be left of the "
	                                   "aperture");

	return rc ? rc : remember(d, now);
}

int aperture_shrink(struct sluice_domain *d)
{
	struct ranges *s = malloc(sizeof(*s));
	int rc;

	if (!s)
		return msg_lit(-ENOMEM, "no memory to compute the aperture");
	rc = compute(d, s);
	/* What has left the allocator does not come back, whoever goes. */
	if (rc == 0 && d->iova)
		rc = keep_only(s, d->usable, d->nr_usable);
	if (rc == 0)
		rc = shrink_to(d, s);
	free(s);
	return rc;
}

int aperture_take(struct sluice_domain *d, uint64_t first, uint64_t last)
{
	struct ranges *s;
	int rc = 0;

	if (!d->iova)
		return msg_lit(-EBUSY, "the caller chooses every IOVA of this "
		                       "domain");
	s = malloc(sizeof(*s));
	if (!s)
		return msg_lit(-ENOMEM, "no memory to compute the aperture");
	s->nr = 0;
	for (uint32_t i = 0; i < d->nr_usable && rc == 0; i++)
		rc = add(s, d->usable[i].first, d->usable[i].last);
	if (rc == 0)
		rc = cut(s, first, last);
	if (rc == 0)
		rc = shrink_to(d, s);
	free(s);
	return rc;
}

static void widen_reserved(struct sluice_domain *d, uint64_t first,
                           uint64_t last)
{
	uint64_t end = ld_rlx(&d->reserved_last);

	if (!end || first < ld_rlx(&d->reserved_first))
		st_rlx(&d->reserved_first, first);
	st_rlx(&d->reserved_last, max_u64(end, last));
}

int sluice_domain_reserve(struct sluice_domain *d, sluice_iova_t iova,
                          uint64_t len)
{
	uint64_t last;
	int rc;

	if (engine_check(d->engine))
		return -EPERM;
	if (!range_last(iova, len, &last) ||
	    !aligned_lg2(iova | len, SLUICE_PAGE_LG2))
		return msg_lit(-EINVAL, "the range must be whole 4 KiB pages");
	if (d->cfg.flags & SLUICE_DOMAIN_CALLER_IOVA)
		return msg_lit(-EINVAL, "the caller chooses every IOVA of "
		                        "this domain: nothing to reserve");
	pthread_mutex_lock(&d->lock);
	if (!d->iova)
		rc = msg_lit(-ENODEV, "attach a group first: the usable "
		                      "ranges are not known yet");
	else
		rc = iova_space_reserve(d->iova, iova, last);
	if (rc == 0)
		widen_reserved(d, iova, last);
	pthread_mutex_unlock(&d->lock);
	if (rc == -EBUSY)
		return msg_lit(rc, "a part of the range is handed out "
		                   "already: reserve before mapping starts");
	if (rc == -EINVAL)
		return msg_lit(rc, "the range lies outside the domain's "
		                   "usable ranges");
	return rc;
}

void aperture_report(const struct sluice_domain *d,
                     struct sluice_domain_info *info)
{
	struct iova_report r;

	if (!d->iova)
		return;
	iova_space_report(d->iova, &r);
	info->iova_total = r.total;
	info->iova_free = r.free;
	info->iova_largest_free = r.largest;
	info->iova_fragments = r.fragments;
	info->iova_stranded = r.stranded;
	info->iova_magazines = r.depot;
	info->iova_bogus_frees = r.bogus;
	for (uint32_t i = 0; i < d->engine->cfg.max_lanes; i++)
		if (d->views[i])
			info->iova_lanes += iova_cache_kept(d->views[i]->iova);
}
