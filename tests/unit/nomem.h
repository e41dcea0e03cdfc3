/*
 * nomem: memory that ends, for a test linked with wrap_memory. The allocation that nomem_left
 * counts down to fails; with nomem_for_good so do all behind it.
 */
#ifndef HAWSER_TESTS_NOMEM_H
#define HAWSER_TESTS_NOMEM_H

#include <stdbool.h>

extern long nomem_left;           /* allocations until one fails; below 0: none does */
extern bool nomem_for_good;       /* then all further ones fail too */
extern bool nomem_failed;         /* one has */
extern unsigned long nomem_count; /* of all allocations */
extern __thread bool nomem_here;  /* this thread's memory counts; set it in main() */

#endif
