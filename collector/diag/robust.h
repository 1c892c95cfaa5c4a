/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * robust.h - location and spread that a minority of bad ranks cannot move. Pure.
 *
 * Spread is the median absolute deviation scaled to a normal distribution's standard deviation
 * (×1.4826). Up to half of the values may be arbitrary.
 */
#ifndef C4_COLLECTOR_DIAG_ROBUST_H
#define C4_COLLECTOR_DIAG_ROBUST_H

#include <stddef.h>

/* Median of v[0…n); reorders v; 0 for n = 0. O(n) expected. */
double c4_median(double *v, size_t n);

/* The smaller of the two middle values where n is even: never more than half of the values are
 * below it, and one wild value of two does not move it. Reorders v; 0 for n = 0. */
double c4_lower_median(double *v, size_t n);

/* Scaled MAD around centre; overwrites v. */
double c4_robust_spread(double *v, size_t n, double centre);

/* As c4_robust_spread(), by the lower median: half of the values do not move it, either. */
double c4_lower_spread(double *v, size_t n, double centre);

/* How many spreads an outlier must exceed when the largest of n normal values is looked at and one
 * false alarm in 20 looks is too many: √(2 ln 20n) (extreme value bound). */
double c4_outlier_limit(size_t n);

#endif
