/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers of the Intel 82574 datasheet that this driver uses: registers are
 * its chapter 10.2, receive descriptors 7.1, transmit descriptors 7.2.
 */
#ifndef E1000E_SPEC_H
#define E1000E_SPEC_H

#include <stdint.h>

#define CLASS_ETHERNET 0x020000u
#define ID_82574L                                                              \
	0x10d38086u /* device and vendor, as config space has them             \
	             */
#define BAR_MIN 0x20000u

/* General */
#define REG_CTRL 0x0000u
#define CTRL_MASTER_DISABLE 0x4u /* no DMA from here on */
#define CTRL_ASDE 0x20u          /* speed as negotiated */
#define CTRL_SLU 0x40u           /* link up */
#define CTRL_RST 0x4000000u
#define REG_STATUS 0x0008u
#define STATUS_LU 0x2u
#define STATUS_MASTER_ENABLED 0x80000u

/* Interrupts: cause, read to clear; and mask clear */
#define REG_ICR 0x00c0u
#define REG_IMC 0x00d8u

/* Receive */
#define REG_RCTL 0x0100u
#define RCTL_EN 0x2u
#define RCTL_BAM 0x8000u      /* broadcast frames too */
#define RCTL_SECRC 0x4000000u /* without the frame's CRC */
/* Buffers of 2048 bytes: the value 0 of BSIZE. */
#define REG_RDBAL 0x2800u
#define REG_RDBAH 0x2804u
#define REG_RDLEN 0x2808u
#define REG_RDH 0x2810u
#define REG_RDT 0x2818u
#define REG_RFCTL 0x5008u /* 0: descriptors of the legacy format */
#define REG_MTA 0x5200u   /* multicast table */
#define MTA_WORDS 128u
#define REG_RAL 0x5400u /* the station's address, low and high */
#define REG_RAH 0x5404u
#define RAH_VALID 0x80000000u

/* Transmit */
#define REG_TCTL 0x0400u
#define TCTL_EN 0x2u
#define TCTL_PSP 0x8u           /* pads short frames */
#define TCTL_CT (0xfu << 4)     /* collision threshold, */
#define TCTL_COLD (0x3fu << 12) /* and distance: full duplex */
#define REG_TDBAL 0x3800u
#define REG_TDBAH 0x3804u
#define REG_TDLEN 0x3808u
#define REG_TDH 0x3810u
#define REG_TDT 0x3818u

/* Statistics, read to clear */
#define REG_MPC 0x4010u  /* missed: no descriptor */
#define REG_GPRC 0x4074u /* good frames received, */
#define REG_GPTC 0x4080u /* sent */

#define DESC_DD 0x1u  /* status: done */
#define DESC_EOP 0x2u /* status: the frame ends here */

/* 7.1: legacy receive descriptor */
struct rx_desc {
	uint64_t addr;
	uint16_t length;
	uint16_t checksum;
	uint8_t status;
	uint8_t errors;
	uint16_t special;
};

#define TXD_EOP 0x1u  /* the frame ends here */
#define TXD_IFCS 0x2u /* append the CRC */
#define TXD_RS 0x8u   /* report status */

/* 7.2: legacy transmit descriptor */
struct tx_desc {
	uint64_t addr;
	uint16_t length;
	uint8_t cso;
	uint8_t cmd;
	uint8_t status;
	uint8_t css;
	uint16_t special;
};

_Static_assert(sizeof(struct rx_desc) == 16 && sizeof(struct tx_desc) == 16,
               "as the hardware has them");

#endif
