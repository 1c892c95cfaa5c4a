/* SPDX-License-Identifier: BSD-3-Clause */
/* train.h - the training of train.c as a function of a library. */
#ifndef STANDIN_TRAIN_H
#define STANDIN_TRAIN_H

int train(int argc, char **argv);

#endif
