// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdbool.h>

#include "tests/route/verbs.h"

extern struct fake_verbs *fake_mlx5_of;
struct fake_verbs *fake_mlx5_of; /* the test's: whose state it is */

bool mlx5dv_is_supported(struct c4_ibv_device *device);
int mlx5dv_modify_qp_udp_sport(struct c4_ibv_qp *qp, uint16_t port);

bool mlx5dv_is_supported(struct c4_ibv_device *device)
{
	(void)device;
	return fake_mlx5_of && fake_mlx5_of->is_mlx5;
}

int mlx5dv_modify_qp_udp_sport(struct c4_ibv_qp *qp, uint16_t port)
{
	if (qp->state != C4_IBV_RTS)
		return EINVAL;
	__atomic_store_n(&fake_mlx5_of->mlx5_port, port, __ATOMIC_RELEASE);
	return 0;
}
