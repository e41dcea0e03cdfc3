/*
 * memory: the address of a host that answered when others did not, and the order in which a host's
 * addresses are tried (RFC 8305 section 4).
 *
 * Decides: the families take turns, beginning with that of the first address, which the system has
 * put first (RFC 6724); what is remembered comes before all, and its family begins. Kept for
 * NET_MEMORY_MS from when it was learnt, however often it is used: then the system's order gets
 * another chance, or a family that was dead for a minute would be left aside for ever.
 * Leaves: the dialling to dial.
 * Owns: NET_MEMORY_HOSTS hosts at most; the oldest makes room. One thread's.
 * Fails: never; without memory nothing is remembered.
 */
#ifndef HAWSER_NET_MEMORY_H
#define HAWSER_NET_MEMORY_H

#include "io/io.h"

#define NET_MEMORY_HOSTS 64
#define NET_MEMORY_MS 600000 /* RFC 8305 4 suggests times of this order */

struct net_memory;
int net_memory_new(struct net_memory **out);
void net_memory_free(struct net_memory *memory);

/* memory may be NULL in all of these. */
void net_memory_learn(struct net_memory *memory, const char *host, const struct io_address *address,
                      int64_t now_ms);
/* The address did not answer: it is not the one to begin with any more. */
void net_memory_forget(struct net_memory *memory, const char *host,
                       const struct io_address *address);
/* Puts the addresses of a host (all of one port) into the order in which they are to be tried. */
void net_memory_order(struct net_memory *memory, const char *host, struct io_address *addresses,
                      unsigned count, int64_t now_ms);

#endif
