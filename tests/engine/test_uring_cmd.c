/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a backend's descriptor takes IORING_OP_URING_CMD: asked of real
 * descriptors that do and do not, on kernels that refuse, and told by the
 * domain.
 */
#include "tests/engine/rig.h"

#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/engine_int.h"

#define NO_COMMAND 0x3b64u /* VFIO_GET_API_VERSION */

static bool have_uring;

static int setup(void **state)
{
	struct io_uring ring;

	(void)state;
	have_uring = io_uring_queue_init(1, &ring, 0) == 0;
	if (have_uring)
		io_uring_queue_exit(&ring);
	return 0;
}

static void need_uring(void)
{
	if (have_uring)
		return;
	print_message("skipped: no io_uring here\n");
	skip();
}

static void descriptors(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), rc;

	(void)state;
	need_uring();
	assert_int_equal(fabric_uring_cmd(fd, NO_COMMAND), -EOPNOTSUPP);
	close(fd);
	assert_int_equal(fabric_uring_cmd(1 << 20, NO_COMMAND), -EBADF);
	/* Takes any command since Linux 6.1. */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	rc = fabric_uring_cmd(fd, NO_COMMAND);
	close(fd);
	if (rc == -EOPNOTSUPP)
		print_message("/dev/null of this kernel takes none\n");
	else
		assert_int_equal(rc, 0);
}

/* ---- other kernels ---- */

static struct sys_table table;
static int rc_init, rc_knows, rc_submit, cqe_res;
static uint32_t open_rings;
static struct io_uring_cqe cqe;
static struct io_uring_sqe sqe;
static unsigned head, tail;

static int uring_init(unsigned entries, struct io_uring *ring,
                      struct io_uring_params *params)
{
	(void)entries;
	(void)params;
	if (rc_init)
		return rc_init;
	memset(ring, 0, sizeof(*ring));
	head = tail = 0;
	ring->cq.khead = &head;
	ring->cq.ktail = &tail;
	ring->cq.cqes = &cqe;
	ring->sq.khead = &head;
	ring->sq.sqes = &sqe;
	ring->sq.ring_entries = 1;
	open_rings++;
	return 0;
}

static void uring_exit(struct io_uring *ring)
{
	(void)ring;
	open_rings--;
}

static int uring_knows(struct io_uring *ring, int opcode)
{
	(void)ring;
	assert_int_equal(opcode, IORING_OP_URING_CMD);
	return rc_knows;
}

static int uring_submit(struct io_uring *ring, unsigned wait_nr)
{
	(void)ring;
	assert_int_equal(wait_nr, 1);
	assert_int_equal(sqe.opcode, IORING_OP_URING_CMD);
	assert_int_equal(sqe.fd, 5);
	assert_int_equal(sqe.cmd_op, NO_COMMAND);
	if (rc_submit < 0)
		return rc_submit;
	cqe.res = cqe_res;
	tail = 1;
	return 1;
}

static int ask(int init, int knows, int submit, int res)
{
	int rc;

	table = sys_kernel;
	table.uring_init = uring_init;
	table.uring_exit = uring_exit;
	table.uring_knows = uring_knows;
	table.uring_submit = uring_submit;
	rc_init = init;
	rc_knows = knows;
	rc_submit = submit;
	cqe_res = res;
	sys = &table;
	rc = fabric_uring_cmd(5, NO_COMMAND);
	sys = &sys_kernel;
	assert_int_equal(open_rings, 0);
	return rc;
}

static void other_kernels(void **state)
{
	(void)state;
	assert_int_equal(ask(-ENOSYS, 0, 0, 0), -ENOSYS);
	assert_int_equal(ask(-EPERM, 0, 0, 0), -EPERM);
	assert_int_equal(ask(0, -ENOMEM, 0, 0), -ENOMEM);
	assert_int_equal(ask(0, -EINVAL, 0, 0), -EINVAL);
	assert_int_equal(ask(0, 0, 0, 0), -EOPNOTSUPP);
	assert_int_equal(ask(0, 1, -EAGAIN, 0), -EAGAIN);
	assert_int_equal(ask(0, 1, -EINVAL, 0), -EINVAL);
	assert_int_equal(ask(0, 1, 1, -EOPNOTSUPP), -EOPNOTSUPP);
	assert_int_equal(ask(0, 1, 1, -EACCES), -EACCES);
	/* Answers, of one who knows the command and of two who do not. */
	assert_int_equal(ask(0, 1, 1, 0), 0);
	assert_int_equal(ask(0, 1, 1, -ENOTTY), 0);
	assert_int_equal(ask(0, 1, 1, -EINVAL), 0);
}

/* ---- the domain ---- */

static char said[256];
static int asked, told;

static int be_uring_cmd(struct backend *be)
{
	(void)be;
	asked++;
	return told;
}

static uint64_t be_left(struct backend *be)
{
	(void)be;
	return 7;
}

static void be_tune(struct backend *be, uint32_t batch_us, uint32_t batch_max,
                    uint64_t prefault_bytes)
{
	(void)be;
	(void)batch_us;
	(void)batch_max;
	(void)prefault_bytes;
}

static void be_destroy(struct backend *be)
{
	(void)be;
}

static void keep(void *ctx, enum sluice_log_level level, const char *text)
{
	(void)ctx;
	if (level == SLUICE_LOG_INFO && strstr(text, "IORING_OP_URING_CMD"))
		snprintf(said, sizeof(said), "%s", text);
}

static void domain_tells(int no_io_uring, int rc, uint32_t want,
                         const char *words)
{
	static const struct backend_ops ops = {
	        .uring_cmd = be_uring_cmd,
	        .tune = be_tune,
	        .mappings_left = be_left,
	        .destroy = be_destroy,
	};
	struct sluice_engine_cfg cfg = {.log = keep,
	                                .no_io_uring = no_io_uring};
	struct backend be = {.ops = &ops};
	struct sluice_domain_info info;
	struct sluice_engine *engine;
	struct sluice_domain *domain;

	said[0] = '\0';
	asked = 0;
	told = rc;
	assert_int_equal(sluice_engine_open(&cfg, &engine), 0);
	assert_int_equal(domain_create_on(engine, NULL, &be, &domain), 0);
	sluice_domain_get_info(domain, &info);
	assert_int_equal(info.uring_cmd, want);
	assert_int_equal(asked, !no_io_uring);
	if (words)
		assert_non_null(strstr(said, words));
	else
		assert_string_equal(said, "");
	assert_int_equal(sluice_domain_destroy(domain), 0);
	assert_int_equal(sluice_engine_close(engine), 0);
}

static void domains(void **state)
{
	(void)state;
	domain_tells(0, 0, 1, "takes IORING_OP_URING_CMD");
	domain_tells(0, -EOPNOTSUPP, 0,
	             "does not take IORING_OP_URING_CMD (EOPNOTSUPP)");
	domain_tells(1, 0, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(descriptors),
	        cmocka_unit_test(other_kernels),
	        cmocka_unit_test(domains),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
