/* SPDX-License-Identifier: BSD-3-Clause */
/* version.h - one version for all programs; contracts carry their own numbers. */
#ifndef C4_VERSION_H
#define C4_VERSION_H

#define C4_VERSION "0.1.0"

#endif
