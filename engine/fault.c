/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Refused accesses of a lane, kept until its owner asks. A bounded ring of one
 * thread; knows nothing of how a translation was refused.
 */
#include "engine/engine_int.h"

void fault_record(struct fault_ring *r, const struct sluice_fault *f)
{
	if (r->tail - r->head == FAULTS_MAX) {
		r->dropped++;
		return;
	}
	r->fault[r->tail++ % FAULTS_MAX] = *f;
}

uint32_t sluice_lane_faults(struct sluice_lane *lane, struct sluice_fault *out,
                            uint32_t max, uint64_t *ret_dropped)
{
	struct fault_ring *r = &lane->faults;
	uint32_t n = 0;

	if (lane_check(lane))
		return 0;
	while (n < max && r->head != r->tail)
		out[n++] = r->fault[r->head++ % FAULTS_MAX];
	if (ret_dropped) {
		*ret_dropped = r->dropped;
		r->dropped = 0;
	}
	return n;
}

void sluice_view_set_device(struct sluice_view *view, uint64_t device)
{
	if (!lane_check(view->lane))
		view->device = device;
}
