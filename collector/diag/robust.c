// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/robust.h"

#include <math.h>

static void swap(double *a, double *b)
{
	double t = *a;

	*a = *b;
	*b = t;
}

/* Hoare's selection: afterwards v[k] is in its sorted place, smaller ones left of it. */
static double select_kth(double *v, size_t n, size_t k)
{
	size_t lo = 0, hi = n - 1;

	while (lo < hi) {
		double pivot = v[(lo + hi) / 2];
		size_t i = lo, j = hi;

		for (;;) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i >= j)
				break;
			swap(&v[i++], &v[j--]);
		}
		/* v[lo…j] <= pivot <= v[j+1…hi] */
		if (k <= j)
			hi = j;
		else
			lo = j + 1;
	}
	return v[k];
}

double c4_median(double *v, size_t n)
{
	double upper, lower;

	if (n == 0)
		return 0.0;
	upper = select_kth(v, n, n / 2);
	if (n % 2)
		return upper;
	lower = v[0];
	for (size_t i = 1; i < n / 2; i++)
		lower = fmax(lower, v[i]);
	return (lower + upper) / 2;
}

double c4_lower_median(double *v, size_t n)
{
	return n ? select_kth(v, n, (n - 1) / 2) : 0.0;
}

double c4_robust_spread(double *v, size_t n, double centre)
{
	for (size_t i = 0; i < n; i++)
		v[i] = fabs(v[i] - centre);
	return 1.4826 * c4_median(v, n);
}

double c4_lower_spread(double *v, size_t n, double centre)
{
	for (size_t i = 0; i < n; i++)
		v[i] = fabs(v[i] - centre);
	return 1.4826 * c4_lower_median(v, n);
}

double c4_outlier_limit(size_t n)
{
	return sqrt(2.0 * log(20.0 * (double)(n ? n : 1)));
}
