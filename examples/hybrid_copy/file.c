/* SPDX-License-Identifier: BSD-3-Clause */
#include "file.h"
#include "../nvme_rw/nvme.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One piece on its way: a request may move only a part of it. */
struct piece {
	uint8_t *va;
	uint32_t len;  /* to be moved at least */
	uint32_t room; /* to be asked for */
	uint32_t done;
	uint64_t at;
	bool write;
};

struct file {
	struct file_info info;
	int fd;
	struct io_uring ring;
	struct sluice_fixed *fixed;
	struct piece *piece; /* by tag */
	/* Pieces that ended without the kernel's telling: pread(). */
	struct file_done *ended;
	uint32_t nr_ended;
	uint32_t depth;
	uint32_t in_flight;
};

/* ---- open and close ---- */

/* Past the page cache where the file system can: then the disk's own DMA goes
 * into the arena, and nobody copies anything. */
static int open_file(struct file *f, const struct file_cfg *cfg)
{
	int flags = (cfg->write ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC;
	struct stat st;
	off_t size;

	f->fd = cfg->cached ? -1 : open(cfg->path, flags | O_DIRECT, 0644);
	f->info.direct = f->fd >= 0;
	if (f->fd < 0)
		f->fd = open(cfg->path, flags, 0644);
	if (f->fd < 0 || fstat(f->fd, &st))
		return fail(-errno, "%s: %s", cfg->path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(-EINVAL, "%s: neither a file nor a block device",
		            cfg->path);
	size = lseek(f->fd, 0, SEEK_END);
	if (size < 0)
		return fail(-errno, "%s: %s", cfg->path, strerror(errno));
	f->info.size = (uint64_t)size;
	f->info.is_device = S_ISBLK(st.st_mode);
	return 0;
}

/* The arena becomes a fixed buffer: pinned once, and looked up by number from
 * then on, instead of being pinned for each request. */
static int open_ring(struct file *f, struct sluice_arena *arena)
{
	struct sluice_fixed_cfg cfg = {0};
	int rc = io_uring_queue_init(f->depth, &f->ring, 0);

	if (rc) {
		fail(0, "no io_uring (%s): pread() and pwrite() instead",
		     sluice_errname(rc));
		return 0;
	}
	cfg.ring_fd = f->ring.ring_fd;
	rc = sluice_fixed_open(&cfg, &f->fixed);
	if (rc == 0)
		rc = sluice_fixed_add(f->fixed, arena);
	f->info.uring = rc == 0;
	if (rc == 0)
		return 0;
	fail(rc, "fixed buffers: %s: %s", sluice_errname(rc),
	     sluice_last_error());
	sluice_fixed_close(f->fixed);
	io_uring_queue_exit(&f->ring);
	/* A kernel that knows no sparse tables. */
	return rc == -EOPNOTSUPP ? 0 : rc;
}

int file_open(const struct file_cfg *cfg, struct sluice_arena *arena,
              struct file **ret_file)
{
	struct file *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return fail(-ENOMEM, "no memory for a file");
	f->fd = -1;
	f->depth = cfg->depth;
	f->piece = calloc(cfg->depth, sizeof(*f->piece));
	f->ended = calloc(cfg->depth, sizeof(*f->ended));
	if (f->piece && f->ended)
		rc = open_file(f, cfg);
	else
		rc = fail(-ENOMEM, "no memory for a file");
	if (rc == 0 && !cfg->no_uring)
		rc = open_ring(f, arena);
	if (rc) {
		file_close(f);
		return rc;
	}
	*ret_file = f;
	return 0;
}

/* The table before its ring, the ring before the arena. */
void file_close(struct file *f)
{
	if (!f)
		return;
	if (f->info.uring) {
		sluice_fixed_close(f->fixed);
		io_uring_queue_exit(&f->ring);
	}
	if (f->fd >= 0)
		close(f->fd);
	free(f->piece);
	free(f->ended);
	free(f);
}

const struct file_info *file_get_info(const struct file *f)
{
	return &f->info;
}

/* ---- requests ---- */

static void end(struct file *f, uint32_t tag, int result)
{
	f->ended[f->nr_ended++] = (struct file_done){tag, result};
}

/* What was moved of it now, 0 at the end of the file, or -errno: true when the
 * piece has ended. */
static bool account(struct file *f, uint32_t tag, int res)
{
	struct piece *p = &f->piece[tag];

	if (res == -EAGAIN || res == -EINTR)
		return false;
	if (res > 0)
		p->done += (uint32_t)res;
	if (res > 0 && p->done < (p->write ? p->room : p->len))
		return false;
	if (res == 0)
		res = -ENODATA; /* it became shorter meanwhile */
	end(f, tag, res < 0 ? res : 0);
	return true;
}

/* The ring has an entry for each piece. */
static void queue(struct file *f, uint32_t tag)
{
	const struct piece *p = &f->piece[tag];
	struct io_uring_sqe *sqe = io_uring_get_sqe(&f->ring);
	uint8_t *va = p->va + p->done;
	uint64_t at = p->at + p->done;
	uint32_t index;
	int64_t len =
	        sluice_fixed_index(f->fixed, va, p->room - p->done, &index);

	if (!sqe || len <= 0) {
		end(f, tag, sqe ? (int)len : -EBUSY);
		return;
	}
	/* What the next buffer holds is another request, by account(). */
	if (p->write)
		io_uring_prep_write_fixed(sqe, f->fd, va, (unsigned)len, at,
		                          (int)index);
	else
		io_uring_prep_read_fixed(sqe, f->fd, va, (unsigned)len, at,
		                         (int)index);
	io_uring_sqe_set_data64(sqe, tag);
	f->info.requests++;
}

static void move_now(struct file *f, uint32_t tag)
{
	struct piece *p = &f->piece[tag];
	ssize_t n;

	do {
		uint8_t *va = p->va + p->done;
		size_t len = p->room - p->done;
		off_t at = (off_t)(p->at + p->done);

		n = p->write ? pwrite(f->fd, va, len, at)
		             : pread(f->fd, va, len, at);
		f->info.preads++;
	} while (!account(f, tag, n < 0 ? -errno : (int)n));
}

void file_start(struct file *f, bool write, uint32_t tag, void *va,
                uint32_t len, uint64_t at)
{
	uint32_t room = (len + FILE_ALIGN - 1) & -FILE_ALIGN;

	/* A device has no bytes behind its end, and blocks of its own. */
	if (f->info.is_device || !f->info.direct)
		room = len;
	f->piece[tag] = (struct piece){
	        .va = va, .len = len, .room = room, .at = at, .write = write};
	f->in_flight++;
	if (f->info.uring)
		queue(f, tag);
	else
		move_now(f, tag);
}

static int reap(struct file *f, bool wait)
{
	struct io_uring_cqe *cqe;
	unsigned head, nr = 0;
	int rc = 0;

	if (io_uring_sq_ready(&f->ring) || wait) {
		rc = wait ? io_uring_submit_and_wait(&f->ring, 1)
		          : io_uring_submit(&f->ring);
		f->info.enters++;
	}
	io_uring_for_each_cqe(&f->ring, head, cqe)
	{
		uint32_t tag = (uint32_t)cqe->user_data;

		nr++;
		if (!account(f, tag, cqe->res))
			queue(f, tag);
	}
	io_uring_cq_advance(&f->ring, nr);
	return rc == -EINTR || rc == -EAGAIN || rc == -EBUSY || rc > 0 ? 0 : rc;
}

int file_poll(struct file *f, bool wait, struct file_done *out, uint32_t max)
{
	uint32_t n = 0;
	int rc = 0;

	if (f->info.uring)
		rc = reap(f, wait && f->in_flight && !f->nr_ended);
	while (n < max && f->nr_ended)
		out[n++] = f->ended[--f->nr_ended];
	f->in_flight -= n;
	return rc < 0 ? rc : (int)n;
}

uint32_t file_in_flight(const struct file *f)
{
	return f->in_flight;
}

int file_finish(struct file *f, uint64_t size)
{
	if (!f->info.is_device && ftruncate(f->fd, (off_t)size))
		return fail(-errno, "the file's length: %s", strerror(errno));
	if (fsync(f->fd))
		return fail(-errno, "fsync: %s", strerror(errno));
	return 0;
}
