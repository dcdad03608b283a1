/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of fixed buffers as its test sees it.
 */
#ifndef SLUICE_ENGINE_FIXED_H
#define SLUICE_ENGINE_FIXED_H

#include <sluice/fixed.h>

/* The kernel takes no longer buffer (io_uring_register(2)). */
#define FIXED_PIECE_LG2 30

/* sluice_fixed_open() with buffers of at most this length. */
int fixed_open_pieces(const struct sluice_fixed_cfg *cfg, unsigned piece_lg2,
                      struct sluice_fixed **ret_fixed);

#endif
