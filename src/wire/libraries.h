/* libraries: which ones this room was built on, for a support ticket. */
#ifndef HAWSER_WIRE_LIBRARIES_H
#define HAWSER_WIRE_LIBRARIES_H

#include <stddef.h>

/* "wslay 1.1.1, http-parser 2.9.4, zlib 1.2.13" */
void wire_libraries(char *out, size_t size);

#endif
