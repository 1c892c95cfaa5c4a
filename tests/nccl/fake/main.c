// SPDX-License-Identifier: BSD-3-Clause
/* train.c as a program linked with NCCL. */
#include "tests/nccl/fake/train.h"

int main(int argc, char **argv)
{
	return train(argc, argv);
}
