/* SPDX-License-Identifier: BSD-3-Clause */
/* vec.h - growing an array that its owner keeps as pointer, count and capacity. Pure. */
#ifndef C4_DS_VEC_H
#define C4_DS_VEC_H

#include <stddef.h>
#include <stdint.h>

/*
 * Room for at least `need` items of `item` bytes: the array, perhaps moved, with *cap updated; new
 * items are not cleared. NULL when out of memory or beyond limit, the old array then still stands.
 */
void *c4_vec_reserve(void *data, uint32_t *cap, uint32_t need, uint32_t limit, size_t item);

/* The same for arrays whose size counts: grown by a 32nd, not to the double. */
void *c4_vec_reserve_tight(void *data, uint32_t *cap, uint32_t need, uint32_t limit, size_t item);

#endif
