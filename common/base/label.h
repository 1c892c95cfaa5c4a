/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * label.h - UDP source port of a RoCE v2 QP from its flow label, and back.
 *
 * A QP's flow label (20 bits) becomes the source port as rdma-core and the kernel's RDMA core
 * compute it: port = 0xC000 | ((label ^ label >> 14) & 0x3FFF). Label 0 means "none: choose one for
 * me", so it never stands for a port here. Pure.
 */
#ifndef C4_BASE_LABEL_H
#define C4_BASE_LABEL_H

#include <stdint.h>

#define C4_PORT_FIRST 0xC000u /* up to 0xFFFF */
#define C4_PORTS      0x4000u /* how many there are */

/* The port that a QP with this label (its low 20 bits) sends from. */
uint16_t c4_label_to_port(uint32_t label);

/* A label, never 0, that gives this port; 0 for a port that no label gives (below C4_PORT_FIRST).
 */
uint32_t c4_label_of_port(uint16_t port);

/*
 * The label that stands in for none: drivers make it of the numbers of the two queue pairs, own and
 * peer's (Linux, include/rdma/ib_verbs.h, rdma_calc_flow_label()). Both ends make the same one. It
 * may be 0, and is a label like others then.
 */
uint32_t c4_label_of_numbers(uint32_t qpn, uint32_t peer_qpn);

#endif
