#include "unit/nomem.h"

#include <stddef.h>

long nomem_left = -1;
bool nomem_for_good, nomem_failed;
unsigned long nomem_count;
__thread bool nomem_here;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
    if (!nomem_here)
        return false;
    nomem_count++;
    if (nomem_left < 0)
        return false;
    if (nomem_left > 0) {
        nomem_left--;
        return false;
    }
    if (!nomem_for_good)
        nomem_left = -1;
    nomem_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}
