/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * incident_json.h - c4.incident/v1, both ways: what the API shows is also what the store keeps.
 */
#ifndef C4_COLLECTOR_INCIDENT_JSON_H
#define C4_COLLECTOR_INCIDENT_JSON_H

#include <jansson.h>

#include "collector/incident.h"

/* A new reference; NULL: out of memory. */
json_t *c4_incident_to_json(const struct c4_incident *in);

/*
 * Fills what people see from the JSON; times, launch and key come from the caller's columns.
 * NULL: not a c4.incident/v1, or out of memory.
 */
struct c4_incident *c4_incident_from_json(const json_t *j);

#endif
