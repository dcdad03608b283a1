/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * e1000e_echo: an Ethernet controller driven from user space that answers ARP
 * and ping. Between two frames the controller reaches nothing but descriptors
 * and empty buffers. Knows the command line, libsluice's life cycles and the
 * loop; frames are net.c's, buffers port.c's, the controller is e1000e.c's.
 */
#include "net.h"
#include "port.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_AGAIN_NS 500000000u
#define LOOKS_PER_CLOCK 64

static const char usage[] =
        "usage: e1000e_echo BDF IP [options]\n"
        "\n"
        "  --count N      end after N echo replies have been sent\n"
        "  --seconds S    end after S seconds\n"
        "  --mode MODE    strict (the default): the controller reaches a\n"
        "                 buffer only while it has it; or arena: all the time\n"
        "  --ping PEER    resolve and ping this address first\n"
        "  --break        take a buffer away from the controller while it\n"
        "                 waits for a frame: shows that it is stopped\n"
        "\n"
        "BDF is the PCI address of an 82574L bound to vfio-pci, 0000:01:00.0,\n"
        "IP the address it shall have. Bind it with\n"
        "    echo vfio-pci > /sys/bus/pci/devices/BDF/driver_override\n"
        "    echo BDF > /sys/bus/pci/devices/BDF/driver/unbind\n"
        "    echo BDF > /sys/bus/pci/drivers_probe\n"
        "Exit status: 0 done, 1 failed, 2 usage.\n";

struct args {
	const char *bdf;
	uint64_t count, seconds;
	bool arena, ask, breaks;
};

struct echo {
	struct args args;
	struct net net;
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_group *group;
	struct sluice_lane *lane;
	struct sluice_view *view;
	bool attached;
	int fd; /* of the device; 0: none */
	struct e1000e *nic;
	struct port *port;
	uint64_t sent; /* frames */
	uint64_t in, out;
	struct sluice_domain_stats before; /* when the ring was full */
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

int fail(int rc, const char *fmt, ...)
{
	va_list ap;

	fputs("e1000e_echo: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return rc;
}

/* libsluice's own messages say what to do. */
static int failed(int rc, const char *what)
{
	return fail(rc, "%s: %s: %s", what, sluice_errname(rc),
	            sluice_last_error());
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- command line ---- */

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && end != text && *end == '\0' && *text != '-' && *ret;
}

/* An option with a value. */
static bool parse_value(struct echo *e, const char *name, const char *value)
{
	struct args *a = &e->args;

	if (!strcmp(name, "--count"))
		return parse_number(value, &a->count);
	if (!strcmp(name, "--seconds"))
		return parse_number(value, &a->seconds);
	if (!strcmp(name, "--ping")) {
		a->ask = true;
		return net_parse_ip(value, e->net.peer_ip);
	}
	if (strcmp(name, "--mode"))
		return false;
	a->arena = !strcmp(value, "arena");
	return a->arena || !strcmp(value, "strict");
}

static bool parse(int argc, char **argv, struct echo *e)
{
	if (argc < 3 || argv[1][0] == '-')
		return false;
	e->args.bdf = argv[1];
	if (!net_parse_ip(argv[2], e->net.ip))
		return false;
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--break"))
			e->args.breaks = true;
		else if (i + 1 == argc || !parse_value(e, argv[i], argv[i + 1]))
			return false;
		else
			i++;
	}
	return !(e->args.breaks && e->args.arena);
}

/* ---- frames ---- */

static size_t input(void *ctx, uint8_t *frame, size_t len)
{
	struct echo *e = ctx;
	enum net_what what;
	size_t n = net_input(&e->net, frame, len, &what);

	e->in++;
	return n;
}

static void sent(void *ctx)
{
	struct echo *e = ctx;

	e->out++;
}

/* ---- setting up ---- */

static int open_device(struct echo *e)
{
	const char *bdf = e->args.bdf;
	int rc = sluice_group_open(bdf, NULL, &e->group);

	if (rc)
		return failed(rc, bdf);
	rc = sluice_domain_attach(e->domain, e->group);
	e->attached = rc == 0;
	if (rc == 0)
		rc = sluice_group_device_open(e->group, bdf, &e->fd);
	return rc ? failed(rc, bdf) : 0;
}

static int set_up(struct echo *e)
{
	struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        /* This format has pages that a device may only write. */
	        .format = SLUICE_PT_VTDSS,
	};
	struct port_cfg pc = {
	        .arena = e->args.arena, .input = input, .sent = sent, .ctx = e};
	int rc = sluice_engine_open(NULL, &e->engine);

	if (rc == 0)
		rc = sluice_domain_create(e->engine, &cfg, &e->domain);
	if (rc)
		return failed(rc, "domain");
	rc = open_device(e);
	if (rc)
		return rc;
	rc = sluice_lane_open(e->engine, NULL, &e->lane);
	if (rc == 0)
		rc = sluice_view_open(e->lane, e->domain, &e->view);
	if (rc)
		return failed(rc, "lane");
	rc = e1000e_open(e->domain, e->fd, e->args.bdf, PORT_DESCRIPTORS,
	                 &e->nic);
	if (rc)
		return rc;
	memcpy(e->net.mac, e1000e_mac(e->nic), NET_MAC_LEN);
	pc.domain = e->domain;
	pc.lane = e->lane;
	pc.view = e->view;
	pc.nic = e->nic;
	return port_open(&pc, &e->port);
}

/* The controller is stopped before its buffers go, its device closed before
 * the group leaves the domain. */
static int take_down(struct echo *e)
{
	int rc = port_close(e->port);

	e1000e_close(e->nic);
	if (e->view && sluice_drain(e->lane, 10000000000u))
		rc = failed(-ETIMEDOUT, "drain");
	if (sluice_view_close(e->view) || sluice_lane_close(e->lane))
		rc = failed(-EBUSY, "lane");
	if (e->fd > 0)
		close(e->fd);
	if (e->attached && sluice_domain_detach(e->domain, e->group))
		rc = failed(-EBUSY, "group");
	if (sluice_group_close(e->group))
		rc = failed(-EBUSY, "group");
	if (sluice_domain_destroy(e->domain) || sluice_engine_close(e->engine))
		rc = failed(-EBUSY, "close");
	return rc;
}

/* ---- the loop ---- */

/* Rounds until done() says so, or the time is up, or a signal comes. */
static int rounds(struct echo *e, bool (*done)(const struct echo *),
                  uint64_t until_ns)
{
	uint64_t idle = 0;

	while (!done(e) && !stopped) {
		uint64_t frames = e->in + e->out;
		int rc = port_poll(e->port);

		if (rc)
			return rc;
		idle = frames == e->in + e->out ? idle + 1 : 0;
		if (idle % LOOKS_PER_CLOCK)
			continue;
		if (now_ns() >= until_ns)
			return 0;
		/* Somebody else may have the frame that we wait for. */
		if (idle)
			sched_yield();
	}
	return 0;
}

static bool is_ready(const struct echo *e)
{
	return port_ready(e->port);
}

static bool is_answered(const struct echo *e)
{
	return e->net.ask == ASK_ANSWERED || e->net.ask == ASK_WRONG;
}

/* A question has another answer than the one that led to it. */
static bool is_resolved(const struct echo *e)
{
	return e->net.ask != ASK_ARP;
}

static bool is_over(const struct echo *e)
{
	const struct net_counters *c = &e->net.count;

	if (e->args.breaks)
		return port_broken(e->port) != 0;
	/* All that was asked for, and it has left. */
	return e->args.count && c->echo_replies >= e->args.count &&
	       e->out >= e->sent + c->echo_replies + c->arp_replies;
}

static int ask(struct echo *e)
{
	const uint8_t *ip = e->net.peer_ip;
	uint64_t start = now_ns();
	int rc = 0;

	e->net.ask = ASK_ARP;
	/* The link is young: a few may be lost. */
	for (int i = 0; i < 20 && rc == 0 && !is_answered(e); i++) {
		uint8_t *frame = port_page(e->port);

		if (!frame)
			return fail(-ENOMEM, "no page for a question");
		start = now_ns();
		port_send(e->port, frame, net_question(&e->net, frame));
		e->sent++;
		rc = rounds(e, is_resolved(e) ? is_answered : is_resolved,
		            start + ASK_AGAIN_NS);
	}
	if (rc)
		return rc;
	if (e->net.ask != ASK_ANSWERED)
		return fail(-ETIMEDOUT, "%u.%u.%u.%u %s", ip[0], ip[1], ip[2],
		            ip[3],
		            e->net.ask == ASK_WRONG ? "answered something else"
		                                    : "does not answer");
	printf("peer %u.%u.%u.%u answered in %" PRIu64 " us\n", ip[0], ip[1],
	       ip[2], ip[3], (now_ns() - start) / 1000);
	fflush(stdout);
	return 0;
}

static void report(struct echo *e, uint64_t ns)
{
	const struct net_counters *c = &e->net.count;
	struct sluice_domain_stats st;
	struct e1000e_counters hw;

	sluice_domain_get_stats(e->domain, &st);
	e1000e_get_counters(e->nic, &hw);
	printf("echo-replies %" PRIu64 "\narp-replies %" PRIu64
	       "\nignored %" PRIu64 "\nbad %" PRIu64 "\n",
	       c->echo_replies, c->arp_replies, c->ignored, c->bad);
	printf("frames-in %" PRIu64 "\nframes-out %" PRIu64
	       "\nhardware-in %" PRIu64 "\nhardware-out %" PRIu64
	       "\nhardware-missed %" PRIu64 "\n",
	       e->in, e->out, hw.received, hw.sent, hw.missed);
	printf("kernel-maps %" PRIu64 "\nkernel-unmaps %" PRIu64
	       "\nkernel-errors %" PRIu64 "\nmilliseconds %" PRIu64 "\n",
	       st.kernel_maps - e->before.kernel_maps,
	       st.kernel_unmaps - e->before.kernel_unmaps, st.kernel_errors,
	       ns / 1000000);
}

static int break_it(struct echo *e)
{
	sluice_iova_t iova;
	int rc = port_break(e->port, &iova);

	if (rc == 0)
		printf("stale-iova 0x%" PRIx64 "\n", iova);
	fflush(stdout);
	return rc;
}

static int run(struct echo *e)
{
	const uint8_t *m = e->net.mac;
	uint64_t start = now_ns(), until = UINT64_MAX;
	int rc = e1000e_start(e->nic);

	if (rc == 0)
		rc = rounds(e, is_ready, start + 10000000000u);
	if (rc == 0 && e->args.breaks)
		rc = break_it(e);
	sluice_domain_get_stats(e->domain, &e->before);
	if (rc == 0 && e->args.ask)
		rc = ask(e);
	if (rc)
		return rc;
	printf("ready %02x:%02x:%02x:%02x:%02x:%02x\n", m[0], m[1], m[2], m[3],
	       m[4], m[5]);
	fflush(stdout);
	start = now_ns();
	if (e->args.seconds)
		until = start + e->args.seconds * 1000000000u;
	rc = rounds(e, is_over, until);
	report(e, now_ns() - start);
	if (rc == 0 && e->args.breaks) {
		rc = port_broken(e->port);
		if (rc == 1)
			printf("stale-iova: memory untouched\n");
		else if (rc == 0)
			rc = fail(-ETIMEDOUT, "no frame came");
		else
			fail(rc, "the controller wrote to memory that is not "
			         "its own");
		rc = rc < 0 ? rc : 0;
	}
	if (rc == 0 && e->args.count &&
	    e->net.count.echo_replies < e->args.count)
		rc = fail(-ETIMEDOUT, "fewer echo requests came than --count");
	return rc;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_signal};
	static struct echo echo;
	int rc;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (!parse(argc, argv, &echo)) {
		fputs(usage, stderr);
		return 2;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	rc = set_up(&echo);
	if (rc == 0)
		rc = run(&echo);
	if (echo.nic)
		e1000e_stop(echo.nic);
	if (take_down(&echo) && rc == 0)
		rc = -EBUSY;
	return rc ? 1 : 0;
}
