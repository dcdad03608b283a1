/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words of the NVM Express base specification 1.4 that this driver uses:
 * registers (section 3.1), commands and completions (4.2, 4.6), the fields of
 * the Identify data (5.15.2). Knows no memory and no VFIO.
 */
#ifndef NVME_SPEC_H
#define NVME_SPEC_H

#include <stdint.h>

/* 2.1.5 (CC): mass storage, non-volatile memory, NVM Express. */
#define CLASS_NVME 0x010802

/* 3.1: register offsets in BAR0. */
#define REG_CAP 0x00
#define REG_VS 0x08
#define REG_CC 0x14
#define REG_CSTS 0x1c
#define REG_AQA 0x24
#define REG_ASQ 0x28
#define REG_ACQ 0x30
#define REG_DOORBELL 0x1000
#define BAR_MIN 0x2000 /* doorbells included */

/* 3.1.1: controller capabilities. */
#define CAP_MQES(cap) ((uint32_t)((cap)&0xffff))     /* entries - 1 */
#define CAP_TO(cap) ((uint32_t)((cap) >> 24 & 0xff)) /* units of 500 ms */
#define CAP_DSTRD(cap) ((uint32_t)((cap) >> 32 & 0xf))
#define CAP_MPSMIN(cap) ((uint32_t)((cap) >> 48 & 0xf)) /* log2 - 12 */

/* 3.1.5: controller configuration. */
#define CC_EN 0x1u
#define CC_SHN_NORMAL (1u << 14)
#define CC_IOSQES (6u << 16) /* log2 of sizeof(struct nvme_command) */
#define CC_IOCQES (4u << 20) /* log2 of sizeof(struct nvme_completion) */

/* 3.1.6: controller status. */
#define CSTS_RDY 0x1u
#define CSTS_CFS 0x2u
#define CSTS_SHST_MASK 0xcu
#define CSTS_SHST_DONE 0x8u

/* 5 and 6: opcodes. */
#define ADMIN_CREATE_SQ 0x01
#define ADMIN_CREATE_CQ 0x05
#define ADMIN_IDENTIFY 0x06
#define ADMIN_ABORT 0x08
#define ADMIN_SET_FEATURES 0x09
#define NVM_FLUSH 0x00
#define NVM_WRITE 0x01
#define NVM_READ 0x02

#define CNS_NAMESPACE 0x00 /* 5.15.1 */
#define CNS_CONTROLLER 0x01
#define FEATURE_QUEUES 0x07 /* 5.21.1.7 */
#define QUEUE_CONTIGUOUS 1u /* PC, 5.3 and 5.4 */
#define QUEUE_INTERRUPTS 2u /* IEN, 5.3 */
#define ABORT_MISSED 1u     /* 5.1: bit 0 of the result: not aborted */

/* 4.2: a submission queue entry; cdw10 on as the command defines them. */
struct nvme_command {
	uint8_t opcode;
	uint8_t flags; /* COMMAND_*; 0: PRPs, not fused */
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1; /* or, with COMMAND_SGL, the address of one */
	uint64_t prp2; /* descriptor, and its length and type */
	uint32_t cdw10;
	uint32_t cdw11;
	uint32_t cdw12;
	uint32_t cdw13;
	uint32_t cdw14;
	uint32_t cdw15;
};
_Static_assert(sizeof(struct nvme_command) == 64, "4.2");

#define COMMAND_SGL (1u << 6) /* PSDT: the data pointer is an SGL */

/* 4.4: an SGL descriptor. Its last byte is the type and a subtype of 0: an
 * address. */
struct nvme_sgl {
	uint64_t address;
	uint32_t length;
	uint8_t reserved[3];
	uint8_t type;
};
_Static_assert(sizeof(struct nvme_sgl) == 16, "4.4");
#define SGL_DATA 0x00         /* data block */
#define SGL_LAST_SEGMENT 0x30 /* descriptors of the rest, all data blocks */

/* 4.6: a completion queue entry. status bit 0 is the phase tag. */
struct nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status;
};
_Static_assert(sizeof(struct nvme_completion) == 16, "4.6");

/* 4.6.1: the status field without the phase tag. */
#define STATUS_CODE(s) ((s)&0xffu)
#define STATUS_TYPE(s) ((s) >> 8 & 0x7u)
#define STATUS_ANY 0x7ffu

/* 5.15.2: byte offsets in the Identify data. */
#define ID_CTRL_SERIAL 4
#define ID_CTRL_MODEL 24
#define ID_CTRL_FIRMWARE 64
#define ID_CTRL_MDTS 77
#define ID_CTRL_SGLS 536
#define ID_NS_SIZE 0
#define ID_NS_FLBAS 26
#define ID_NS_LBAF 128

/* SGLS bits 1:0: 0 none, 1 any alignment, 2 dwords. */
#define SGLS_SUPPORTED(sgls) ((sgls)&3u)

#endif
