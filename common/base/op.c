// SPDX-License-Identifier: BSD-3-Clause
#include "c4/op.h"

#include "common/base/hash.h"

static const struct c4_op_info ops[C4_OP_MAX] = {
#define C4_OP_ROW(sym, name, cls, uniform, bus) {name, C4_CLASS_##cls, uniform, C4_BUS_##bus},
	C4_OPS(C4_OP_ROW)
#undef C4_OP_ROW
};

const struct c4_op_info *c4_op_info(unsigned int kind)
{
	return &ops[kind < C4_OP_MAX ? kind : C4_OP_NONE];
}

double c4_op_bus_bytes(unsigned int kind, double bytes, unsigned int n)
{
	if (n < 2)
		return 0.0;
	switch (c4_op_info(kind)->bus) {
	case C4_BUS_ALLREDUCE: return bytes * 2.0 * (n - 1) / n;
	case C4_BUS_ALLGATHER: return bytes * (n - 1);
	case C4_BUS_PART: return bytes * (n - 1) / n;
	case C4_BUS_FULL: return bytes;
	default: return 0.0;
	}
}

double c4_op_alg_bytes(unsigned int kind, double bytes, unsigned int n)
{
	switch (c4_op_info(kind)->bus) {
	case C4_BUS_NONE: return 0.0;
	case C4_BUS_ALLGATHER: return bytes * n;
	default: return bytes;
	}
}

uint64_t c4_op_signature(uint64_t opno, unsigned int kind, uint64_t bytes, int root)
{
	const struct c4_op_info *info = c4_op_info(kind);
	int rooted = info->cls == C4_CLASS_ROOT_IN || info->cls == C4_CLASS_ROOT_OUT;
	uint64_t h = c4_hash_u64(opno, kind);

	if (info->uniform)
		h = c4_hash_u64(h, bytes);
	return rooted ? c4_hash_u64(h, (uint64_t)root) : h;
}
