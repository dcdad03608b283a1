/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffers of a controller's two queues, on libsluice. In strict mode each
 * queue has a ring of slots, one for each descriptor, and a page is in one of
 * them only while the controller may use it: it is mapped, handed over, filled
 * or sent, and taken back before the program looks at what is in it. In arena
 * mode the controller reaches all pages all the time, which costs no call.
 *
 * A page that holds a frame to answer is sent as it is: taken out of the
 * receive ring, changed, put into the transmit ring.
 */
#ifndef PORT_H
#define PORT_H

#include "e1000e.h"

#define PORT_DESCRIPTORS 64u
/* Both queues full, and some in the program's hands. */
#define PORT_PAGES (3 * PORT_DESCRIPTORS)

struct port;

/* Gets a frame that was received, to be changed into the one to send. Returns
 * that one's length; 0: nothing to send. */
typedef size_t port_input(void *ctx, uint8_t *frame, size_t len);
/* A frame that port_input or port_send was given has left. */
typedef void port_sent(void *ctx);

struct port_cfg {
	struct sluice_domain *domain;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct e1000e *nic;
	bool arena;
	port_input *input;
	port_sent *sent;
	void *ctx;
};

int port_open(const struct port_cfg *cfg, struct port **ret_port);
/* After e1000e_stop(). NULL is fine. */
int port_close(struct port *port);

/* One round: completions, frames, free slots. -errno when the kernel refuses
 * something. */
int port_poll(struct port *port);
/* True once the controller has all the receive descriptors it can have. */
bool port_ready(const struct port *port);

/* A page to fill with a frame, NULL when there is none; then port_send(), and
 * the page is no longer the caller's. */
uint8_t *port_page(struct port *port);
void port_send(struct port *port, uint8_t *frame, size_t len);

/* Takes a slot away while the controller has it, to show that it can then not
 * write there. *ret_iova: where the next frame is meant to go. Strict mode. */
int port_break(struct port *port, sluice_iova_t *ret_iova);
/* 0: the controller has not used it; 1: it has, and the memory is untouched;
 * -EIO: it has written to memory that is not its own. */
int port_broken(struct port *port);

#endif
