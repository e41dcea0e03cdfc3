/*
 * crc32c.h - CRC-32C (Castagnoli), to notice damaged data.
 *
 * Decides: which of two equal implementations runs: the SSE4.2 instruction where the CPU has
 * it, tables (slicing by 8) elsewhere.
 * Leaves to others: what damage means. It does not resist forgery.
 * Owns: nothing. Fails: never. `data` may be NULL when `len` is 0.
 */
#ifndef HAWSER_BASE_CRC32C_H
#define HAWSER_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` covered, followed by `data`; `crc` is 0 for the first piece. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same by tables on every CPU; public so that the tests can compare the two. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
