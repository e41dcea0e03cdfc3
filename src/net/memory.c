#include "net/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

struct entry {
    char *host; /* NULL: free */
    struct io_address address;
    int64_t learnt_ms;
};

struct net_memory {
    struct entry entries[NET_MEMORY_HOSTS];
};

int net_memory_new(struct net_memory **out)
{
    struct net_memory *memory = calloc(1, sizeof *memory);

    if (memory == NULL)
        return ERR_NOMEM;
    *out = memory;
    return 0;
}

static void clear(struct entry *entry)
{
    free(entry->host);
    entry->host = NULL;
}

void net_memory_free(struct net_memory *memory)
{
    for (unsigned i = 0; memory != NULL && i < NET_MEMORY_HOSTS; i++)
        clear(&memory->entries[i]);
    free(memory);
}

/* Addresses come zeroed where they say nothing. */
static bool same(const struct io_address *a, const struct io_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* A host on two ports is two peers, of which one may be the better for each. */
static bool same_port(const struct io_address *a, const struct io_address *b)
{
    /* The port has the same place in both families (RFC 3493 3.3). */
    return memcmp(a->u.bytes + sizeof a->u.family, b->u.bytes + sizeof b->u.family,
                  sizeof(uint16_t)) == 0;
}

static struct entry *find(struct net_memory *memory, const char *host,
                          const struct io_address *like)
{
    for (unsigned i = 0; i < NET_MEMORY_HOSTS; i++) {
        struct entry *entry = &memory->entries[i];

        if (entry->host != NULL && strcasecmp(entry->host, host) == 0 &&
            same_port(&entry->address, like))
            return entry;
    }
    return NULL;
}

/* A free one, or the one that was learnt first. */
static struct entry *place(struct net_memory *memory)
{
    struct entry *oldest = &memory->entries[0];

    for (unsigned i = 0; i < NET_MEMORY_HOSTS; i++) {
        struct entry *entry = &memory->entries[i];

        if (entry->host == NULL)
            return entry;
        oldest = entry->learnt_ms < oldest->learnt_ms ? entry : oldest;
    }
    clear(oldest);
    return oldest;
}

void net_memory_learn(struct net_memory *memory, const char *host, const struct io_address *address,
                      int64_t now_ms)
{
    struct entry *entry = memory != NULL ? find(memory, host, address) : NULL;

    if (memory == NULL)
        return;
    if (entry != NULL && same(&entry->address, address) &&
        now_ms - entry->learnt_ms < NET_MEMORY_MS)
        return;
    if (entry == NULL) {
        entry = place(memory);
        entry->host = slice_dup(slice_str(host));
    }
    entry->address = *address;
    entry->learnt_ms = now_ms;
}

void net_memory_forget(struct net_memory *memory, const char *host,
                       const struct io_address *address)
{
    struct entry *entry = memory != NULL ? find(memory, host, address) : NULL;

    if (entry != NULL && same(&entry->address, address))
        clear(entry);
}

static void move_to(struct io_address *addresses, unsigned to, unsigned from)
{
    struct io_address moved = addresses[from];

    memmove(&addresses[to + 1], &addresses[to], (from - to) * sizeof moved);
    addresses[to] = moved;
}

/* Each place takes the next address of the other family than the one before it, while there are. */
static void interleave(struct io_address *addresses, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        unsigned j = i;

        while (j < count && addresses[j].u.family == addresses[i - 1].u.family)
            j++;
        if (j == count)
            return;
        move_to(addresses, i, j);
    }
}

void net_memory_order(struct net_memory *memory, const char *host, struct io_address *addresses,
                      unsigned count, int64_t now_ms)
{
    const struct entry *entry = memory != NULL && count != 0 ? find(memory, host, addresses) : NULL;

    for (unsigned i = 0; entry != NULL && i < count; i++) {
        if (same(&addresses[i], &entry->address) && now_ms - entry->learnt_ms < NET_MEMORY_MS)
            move_to(addresses, 0, i);
    }
    interleave(addresses, count);
}
