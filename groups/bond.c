/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reasons in words. What is said about a port is what its registers hold, so
 * that it can be checked with lspci -vv.
 */
#include "groups/bond.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *say(struct grp_mem *mem, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static const char *say(struct grp_mem *mem, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return grp_strdup(mem, text, strlen(text));
}

/* What a port lacks, as lspci spells it. */
static void lack(const struct topo_dev *d, char *buf, size_t len)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} bits[] = {{TOPO_ACS_SV, "SrcValid"},
	            {TOPO_ACS_RR, "ReqRedir"},
	            {TOPO_ACS_CR, "CmpltRedir"},
	            {TOPO_ACS_UF, "UpstreamFwd"}};
	size_t n = 0;

	if (!d->is_pcie) {
		snprintf(buf, len, "is a conventional bridge");
		return;
	}
	if (d->port == TOPO_PCIE_TO_PCI || d->port == TOPO_PCI_TO_PCIE) {
		snprintf(buf, len, "leads to conventional PCI");
		return;
	}
	if (!d->has_acs) {
		snprintf(buf, len, "has no ACS");
		return;
	}
	n = (size_t)snprintf(buf, len, "has ACS, but switched off:");
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]) && n < len; i++)
		if (d->acs_cap & ~d->acs_ctrl & bits[i].bit)
			n += (size_t)snprintf(buf + n, len - n, " %s-",
			                      bits[i].name);
}

static const char *say_switch_on(struct grp_mem *mem, const struct topo_dev *d)
{
	return say(mem,
	           "switch ACS of %s on: in the firmware's setup, or boot "
	           "without pci=disable_acs_redir and pci=config_acs; Linux on "
	           "a device tree does so from 6.15 on",
	           d->name);
}

static void say_port(struct grp_mem *mem, const struct topo *t,
                     const struct bond *b, struct sluice_group_reason *r)
{
	const struct topo_dev *via = &t->dev[b->via];
	char what[160];

	lack(via, what, sizeof(what));
	r->rule_name = "no-acs";
	r->text = b->via == b->b
	                  ? say(mem,
	                        "requests of %s may be turned around at %s "
	                        "before an IOMMU sees them: the port %s",
	                        r->a, r->b, what)
	                  : say(mem,
	                        "requests of %s, which pass %s, may be turned "
	                        "around at %s before an IOMMU sees them: it %s",
	                        r->a, r->b, via->name, what);
	if (via->has_acs)
		r->remedy = say_switch_on(mem, via);
	else
		r->remedy =
		        say(mem, "use a slot below a port that has ACS (lspci "
		                 "-vv shows ACSCap)");
}

static void say_alias(struct grp_mem *mem, const struct topo *t,
                      const struct bond *b, struct sluice_group_reason *r)
{
	const struct topo_dev *via = &t->dev[b->via];

	r->rule_name = "bridge-alias";
	if (b->bus_id)
		r->text = say(mem,
		              "%s reaches memory as %04x:%02x:00.0, the id "
		              "that the bridge %s gives to all that is behind "
		              "it",
		              r->a, via->domain, via->secondary, via->name);
	else
		r->text =
		        say(mem, "%s reaches memory as %s, the bridge's alias",
		            r->a, via->name);
	r->remedy = say(mem, "move one of them out from behind the "
	                     "conventional bus: to a PCI Express slot");
}

static void say_functions(struct grp_mem *mem, const struct topo *t,
                          const struct bond *b, struct sluice_group_reason *r)
{
	const struct topo_dev *x = &t->dev[b->a], *y = &t->dev[b->b];
	const struct topo_dev *bad = x->has_acs ? y : x;
	bool slot = x->domain == y->domain && x->rid >> 3 == y->rid >> 3;

	r->rule_name = "functions";
	if (slot)
		r->text = say(mem, "%s and %s share a slot and %s has no ACS%s",
		              r->a, r->b, bad->name,
		              bad->has_acs ? " switched on" : "");
	else
		r->text = say(mem,
		              "%s is below a function of the slot of %s, and "
		              "functions there may reach each other: no ACS",
		              r->a, r->b);
	if (bad->has_acs)
		r->remedy = say_switch_on(mem, bad);
	else
		r->remedy = say(
		        mem, "only the device's maker can (ACS, or a "
		             "statement that its functions do not reach each "
		             "other); else give the slot away as a whole");
}

int bond_say(struct grp_mem *mem, const struct topo *t, const struct bond *b,
             struct sluice_group_reason *ret)
{
	struct sluice_group_reason r = {.rule = b->rule};

	r.a = say(mem, "%s", t->dev[b->a].name);
	r.b = say(mem, "%s", t->dev[b->b].name);
	if (!r.a || !r.b)
		return -ENOMEM;
	switch (b->rule) {
	case SLUICE_RULE_BRIDGE_ALIAS:
		say_alias(mem, t, b, &r);
		break;
	case SLUICE_RULE_DEVICE_ALIAS:
		r.rule_name = "device-alias";
		r.text = say(mem, "%s is known to use the requester id of %s",
		             r.a, r.b);
		break;
	case SLUICE_RULE_FIRMWARE_ALIAS:
		r.rule_name = "firmware-alias";
		r.text = say(mem,
		             b->stream ? "the firmware gives %s a stream id of "
		                         "%s"
		                       : "the firmware says that %s uses the "
		                         "requester id of %s",
		             r.a, r.b);
		break;
	case SLUICE_RULE_NO_ACS:
		say_port(mem, t, b, &r);
		break;
	case SLUICE_RULE_FUNCTIONS:
		say_functions(mem, t, b, &r);
		break;
	case SLUICE_RULE_ENDPOINT_UNIT:
		r.rule_name = "endpoint-unit";
		r.text = say(mem,
		             "%s and %s are in one partitionable endpoint: "
		             "the platform translates for it as a whole",
		             r.a, r.b);
		break;
	}
	*ret = r;
	return r.text ? 0 : -ENOMEM;
}
