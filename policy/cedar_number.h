/* cedar_number.h - the texts of Cedar's extension types: decimal, datetime and duration
 * (docs.cedarpolicy.com, "Data types"; Cedar RFC 80). Strict, without white space. */
#ifndef CEDAR_NUMBER_H
#define CEDAR_NUMBER_H

#include "policy/cedar_value.h"

/* Each answers false for text that is no such value or does not fit. */
bool cedar_decimal_parse(struct cedar_str text, int64_t *ret_units);       /* "12.3456" */
bool cedar_datetime_parse(struct cedar_str text, int64_t *ret_ms);  /* "2024-10-15T11:35:00Z" */
bool cedar_duration_parse(struct cedar_str text, int64_t *ret_ms);         /* "-1d2h3m4s5ms" */

#endif
