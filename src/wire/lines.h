/*
 * lines: cuts a byte stream into lines, as NDJSON has them (https://github.com/ndjson/ndjson-spec).
 *
 * Decides: a line ends at LF, a CR before it is dropped, empty lines are skipped.
 * Fails: a line over the limit (its end not counted) is thrown away in constant memory and told
 * once, as soon as that is known. What the end of the stream cuts off is dropped.
 */
#ifndef HAWSER_WIRE_LINES_H
#define HAWSER_WIRE_LINES_H

#include "base/buf.h"

struct lines;
int lines_new(size_t line_max, struct lines **out);
void lines_free(struct lines *lines);
/* As sse_next(): 1 and *line (borrowed until the next call), 0: all bytes are used, ERR_LIMIT. */
int lines_next(struct lines *lines, struct slice *bytes, struct slice *line);

#endif
