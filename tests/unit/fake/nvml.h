/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvml.h - how a test steers the stand-in for NVIDIA's management library (nvml.c beside it), which
 * it finds with dlsym(3) as fake_nvml.
 */
#ifndef C4_TESTS_UNIT_FAKE_NVML_H
#define C4_TESTS_UNIT_FAKE_NVML_H

#define FAKE_GPUS   2
#define FAKE_EVENTS 8

struct fake_nvml {
	int init_rc;  /* what initialising returns */
	int rc;	      /* what every question about a GPU returns */
	int wedged;   /* such a question never returns */
	int no_links; /* no NVLink tells its errors */
	int inits;    /* how often it was initialised */
	int link_questions;
	unsigned int mhz;
	unsigned long long throttle, ecc, link_errors; /* the latter of each counter */
	unsigned int gpus;
	unsigned int nevents; /* XIDs waiting, oldest first: each of GPU events[i] % FAKE_GPUS */
	unsigned int events[FAKE_EVENTS];
};

#endif
