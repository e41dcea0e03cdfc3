/*
 * vault_file: what is kept of one credential in STATE_DIR/credentials, one file each, mode 0600.
 *
 *     hawser-credentials 1
 *     asks 1 HASH                refreshes that went out and have no answer yet; of all sources
 *     salt 5f0c...               of the hashes below, 16 bytes in hex
 *     secret NAME HASH OBTAINED EXPIRES VALUE
 *     crc 89abcdef               CRC-32C of all lines before
 *
 * HASH is SipHash-2-4 of what the secret's source held when VALUE came (of all sources together,
 * where the secret has none of its own): VALUE counts while that is so, and so do the asks.
 * OBTAINED and EXPIRES are unix seconds, EXPIRES -1 where nothing was said. VALUE is base64.
 *
 * Decides: the format, and that a reader finds either the old file or the new one, whole, whenever
 * the machine stops. Leaves: what the numbers mean to vault. Fails: ERR_CORRUPT for a file that is
 * not of this form, ERR_FORMAT for a newer one, else as the system says.
 */
#ifndef HAWSER_REACH_VAULT_FILE_H
#define HAWSER_REACH_VAULT_FILE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define VAULT_FILE_MAX (1024 * 1024) /* bytes */
#define VAULT_NAME_MAX 64            /* bytes of a secret's name */

struct vault_head {
    unsigned asks;
    uint64_t sources_hash; /* when they went out */
    uint8_t salt[16];
};
struct vault_kept {
    struct slice name;
    uint64_t source_hash;
    int64_t obtained_s, expires_s;
    struct slice value;
};

/* Head, secrets, end, into a buffer that the caller has reserved and wipes. */
int vault_file_begin(struct buf *out, const struct vault_head *head);
int vault_file_add(struct buf *out, const struct vault_kept *kept);
int vault_file_end(struct buf *out);
/* A bound of what vault_file_add() takes. */
size_t vault_file_room(size_t name_len, size_t value_len);

/* visit is called for each secret, with slices that are valid for the call. */
int vault_file_parse(struct slice text, struct vault_head *head,
                     void (*visit)(void *arg, const struct vault_kept *kept), void *arg,
                     struct error *err);

/* Blocks until the disk has it. Any thread. */
int vault_file_write(const char *path, struct slice text, struct error *err);
/* ERR_NOTFOUND: there is none. out: bounded by VAULT_FILE_MAX, wiped by the caller. */
int vault_file_read(const char *path, struct buf *out, struct error *err);

#endif
