/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fabric, every kind of it, on the kernel of this machine: order, count,
 * and that a sleeper is woken. Kernels that refuse are fabric_kernels.c's.
 */
#include "tests/backend/fabric_rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

static void test_order_and_count(void **state)
{
	struct fabric_source *source;
	struct fabric_port *port;
	struct fabric_cqe one;

	(void)state;
	for (size_t k = 0; k < 6; k++) {
		pair(fabric_kinds[k % 3], 1000, &port, &source);
		if (k >= 3)
			(void)fabric_port_fd(port);
		assert_int_equal(fabric_reap(port, &one, 1), 0);
		for (uint32_t round = 0; round < 8; round++) {
			for (uint32_t i = 0; i < 1000; i++)
				fabric_post(source, port, i, -(int32_t)i);
			fabric_flush(source);
			assert_int_equal(drain(port, 0, 1000), 1000);
			assert_int_equal(fabric_reap(port, &one, 1), 0);
		}
		fabric_source_destroy(source);
		fabric_port_destroy(port);
	}
}

/* The descriptor is readable exactly while completions wait. */
static void test_descriptor(void **state)
{
	struct fabric_source *source;
	struct fabric_port *port;
	int fd;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		pair(fabric_kinds[k], 64, &port, &source);
		/* Posted before anybody asked for the descriptor. */
		fabric_post(source, port, 0, 0);
		fabric_flush(source);
		fd = fabric_port_fd(port);
		assert_true(readable(fd));
		assert_int_equal(drain(port, 0, 1), 1);
		assert_false(readable(fd));
		for (uint32_t round = 0; round < 3; round++) {
			for (uint32_t i = 0; i < 20; i++)
				fabric_post(source, port, i, -(int32_t)i);
			fabric_flush(source);
			assert_true(readable(fd));
			assert_int_equal(drain(port, 0, 5), 5);
			assert_true(readable(fd));
			assert_int_equal(drain(port, 5, 15), 15);
			assert_false(readable(fd));
		}
		fabric_source_destroy(source);
		fabric_port_destroy(port);
	}
	pair(FABRIC_PLAIN, 64, &port, &source);
	assert_int_equal(fabric_port_fd(port), -EOPNOTSUPP);
	fabric_source_destroy(source);
	fabric_port_destroy(port);
}

static void test_bad_arguments(void **state)
{
	struct fabric_port *port = NULL;

	(void)state;
	assert_int_equal(fabric_port_create(0, FABRIC_PLAIN, &port), -EINVAL);
	assert_int_equal(
	        fabric_port_create((1u << 15) + 1, FABRIC_PLAIN, &port),
	        -EINVAL);
	assert_null(port);
	fabric_port_destroy(NULL);
	fabric_source_destroy(NULL);
}

/* ---- several posters, a reader that sleeps, memory that must be seen ---- */

#define POSTERS 3
#define POSTS 20000u
#define WINDOW 1024u

struct poster {
	pthread_t thread;
	struct fabric_port *port;
	uint32_t first;
	uint32_t *slot; /* written before the post, read after the reap */
	au64 credit;    /* completions this poster may have outstanding */
};

static void *post_all(void *arg)
{
	struct poster *p = arg;
	struct fabric_source *source;

	if (fabric_source_create(&source))
		return NULL;
	for (uint32_t i = 0; i < POSTS; i++) {
		if (ld_acq(&p->credit) == i) {
			fabric_flush(source);
			while (ld_acq(&p->credit) == i)
				sched_yield();
		}
		p->slot[i % WINDOW] = i;
		fabric_post(source, p->port, p->first + i, (int32_t)i);
		if (i % 16 == 15)
			fabric_flush(source);
	}
	fabric_source_destroy(source);
	return source;
}

static void collect(struct poster *poster, struct fabric_port *port, int fd)
{
	uint32_t next[POSTERS] = {0};
	struct fabric_cqe cqe[64];

	for (uint32_t done = 0; done < POSTERS * POSTS;) {
		uint32_t n = fabric_reap(port, cqe, 64);

		if (n == 0 && fd >= 0) {
			struct pollfd p = {.fd = fd, .events = POLLIN};

			assert_int_equal(poll(&p, 1, 20000), 1);
		} else if (n == 0) {
			sched_yield();
		}
		for (uint32_t i = 0; i < n; i++, done++) {
			uint32_t who = (uint32_t)(cqe[i].id / POSTS);
			struct poster *p = &poster[who];

			assert_true(who < POSTERS);
			assert_int_equal(cqe[i].res, next[who]);
			assert_int_equal(p->slot[next[who] % WINDOW],
			                 next[who]);
			next[who]++;
			st_rel(&p->credit, next[who] + WINDOW);
		}
	}
}

static void *post_four(void *port)
{
	struct fabric_source *source;

	if (fabric_source_create(&source))
		return NULL;
	for (uint32_t i = 0; i < 4; i++) {
		fabric_post(source, port, i, 0);
		fabric_flush(source);
	}
	fabric_source_destroy(source);
	return source;
}

/* The owner polls at first and sleeps later: what is posted about when it asks
 * for the descriptor must wake it, too. */
static void test_asked_late(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 600; round++) {
		struct pollfd p = {.events = POLLIN};
		struct fabric_port *port;
		struct fabric_cqe cqe;
		pthread_t thread;
		uint32_t seen = 0;
		void *ok;

		assert_int_equal(
		        fabric_port_create(4, fabric_kinds[round % 2], &port),
		        0);
		assert_int_equal(pthread_create(&thread, NULL, post_four, port),
		                 0);
		while (seen < round / 2 % 4)
			seen += fabric_reap(port, &cqe, 1);
		p.fd = fabric_port_fd(port);
		while (seen < 4) {
			assert_int_equal(poll(&p, 1, 20000), 1);
			seen += fabric_reap(port, &cqe, 1);
		}
		fabric_port_destroy(port);
		pthread_join(thread, &ok);
		assert_non_null(ok);
	}
}

static void test_many_posters(void **state)
{
	static uint32_t slot[POSTERS][WINDOW];

	(void)state;
	for (size_t k = 0; k < 6; k++) {
		struct poster poster[POSTERS];
		struct fabric_port *port;
		int fd;

		assert_int_equal(fabric_port_create(POSTERS * WINDOW,
		                                    fabric_kinds[k % 3], &port),
		                 0);
		fd = k < 3 ? -1 : fabric_port_fd(port);
		for (uint32_t i = 0; i < POSTERS; i++) {
			poster[i].port = port;
			poster[i].first = i * POSTS;
			poster[i].slot = slot[i];
			st_rlx(&poster[i].credit, WINDOW);
			assert_int_equal(pthread_create(&poster[i].thread, NULL,
			                                post_all, &poster[i]),
			                 0);
		}
		collect(poster, port, fd);
		/* The posters may still be ringing: destroy waits for them. */
		fabric_port_destroy(port);
		for (uint32_t i = 0; i < POSTERS; i++) {
			void *ok;

			pthread_join(poster[i].thread, &ok);
			assert_non_null(ok);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_order_and_count),
	        cmocka_unit_test(test_descriptor),
	        cmocka_unit_test(test_bad_arguments),
	        cmocka_unit_test(test_asked_late),
	        cmocka_unit_test(test_many_posters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
