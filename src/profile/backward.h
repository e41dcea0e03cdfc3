/*
 * backward.h - what stands last, first.
 *
 * Pages of [catchup] order = desc come newest first, and are wanted oldest first: without memory
 * for where each item stands, the checked text is walked from its end.
 */
#ifndef HAWSER_PROFILE_BACKWARD_H
#define HAWSER_PROFILE_BACKWARD_H

#include "json/json.h"

/* The last element of an array's inside that a scan has checked, taken off the iterator's end. */
bool backward_element(struct json_iter *it, struct slice *element);
/* The last line that is not empty. */
bool backward_line(struct slice *text, struct slice *line);
/* The first one. */
bool forward_line(struct slice *text, struct slice *line);

#endif
