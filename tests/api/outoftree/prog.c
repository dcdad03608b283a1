/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program of somebody else: knows the installed headers and pkg-config,
 * nothing of the source tree. tests/api/install.py builds it as C and as C++,
 * against the shared and the static library, and runs it.
 */
#include <stdio.h>
#include <string.h>

#include <sluice/sluice.h>

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "%d: %s: %s\n", __LINE__, #x,          \
			        sluice_last_error());                          \
			return 1;                                              \
		}                                                              \
	} while (0)

static char page[2 * SLUICE_PAGE_SIZE] __attribute__((aligned(4096)));

static int use(struct sluice_view *view)
{
	struct sluice_map_req req;
	sluice_iova_t iova = 0;
	sluice_oa_t oa = 0;

	memset(&req, 0, sizeof(req));
	req.va = (uint64_t)(uintptr_t)page;
	req.len = sizeof(page);
	req.prot = SLUICE_RW;
	CHECK(sluice_map(view, &req, &iova) == 0);
	CHECK(sluice_translate(view, iova + 5, 1, SLUICE_READ, &oa) == 1);
	CHECK(oa == req.va + 5);
	CHECK(sluice_translate_call(view, iova, 1, SLUICE_WRITE, &oa) == 1);
	CHECK(oa == req.va);
	CHECK(sluice_unmap(view, iova, req.len, 0, NULL) == 1);
	CHECK(sluice_translate(view, iova, 1, SLUICE_READ, &oa) < 0);
	return 0;
}

int main(void)
{
	struct sluice_engine *engine = NULL;
	struct sluice_domain *domain = NULL;
	struct sluice_lane *lane = NULL;
	struct sluice_view *view = NULL;
	int bad;

	CHECK(strcmp(sluice_version(), "") != 0);
	CHECK(sluice_engine_open(NULL, &engine) == 0);
	CHECK(sluice_domain_create(engine, NULL, &domain) == 0);
	CHECK(sluice_lane_open(engine, NULL, &lane) == 0);
	CHECK(sluice_view_open(lane, domain, &view) == 0);
	bad = use(view);
	CHECK(sluice_drain(lane, 1000000000) == 0);
	CHECK(sluice_view_close(view) == 0);
	CHECK(sluice_lane_close(lane) == 0);
	CHECK(sluice_domain_destroy(domain) == 0);
	CHECK(sluice_engine_close(engine) == 0);
	if (!bad)
		printf("sluice %s works\n", sluice_version());
	return bad;
}
