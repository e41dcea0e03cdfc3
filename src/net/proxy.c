#include "net/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "io/io.h"

enum { HOST_TEXT = 256 };

/* A host, or an entry of the list: a name, or an address of so many bytes. */
struct target {
    char name[HOST_TEXT]; /* lower case is not needed: compared without */
    uint8_t bytes[16];
    size_t n_bytes; /* 4, 16; 0: a name */
};

/* IPv4 in IPv6's clothes is IPv4 (RFC 4291 2.5.5.2). */
static bool take_target(struct slice text, struct target *out)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

    if (text.len != 0 && text.ptr[text.len - 1] == '.')
        text.len--; /* the root's */
    if (text.len == 0 || text.len >= sizeof out->name)
        return false;
    memcpy(out->name, text.ptr, text.len);
    out->name[text.len] = '\0';
    out->n_bytes = 0;
    if (inet_pton(AF_INET, out->name, out->bytes) == 1) {
        out->n_bytes = 4;
    } else if (inet_pton(AF_INET6, out->name, out->bytes) == 1) {
        out->n_bytes = 16;
        if (memcmp(out->bytes, mapped, sizeof mapped) == 0) {
            memmove(out->bytes, out->bytes + sizeof mapped, 4);
            out->n_bytes = 4;
        }
    }
    return true;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);

    return n > m && strcasecmp(name + n - m, suffix) == 0;
}

static bool is_local(const struct target *host)
{
    struct io_address address;

    return strcasecmp(host->name, "localhost") == 0 || ends_with(host->name, ".localhost") ||
           (io_address_parse(host->name, 0, &address) && io_address_is_loopback(&address));
}

static bool in_network(const struct target *host, const struct target *network, int64_t bits)
{
    size_t whole = (size_t)bits / 8;
    unsigned rest = (unsigned)bits % 8;

    if (host->n_bytes != network->n_bytes || memcmp(host->bytes, network->bytes, whole) != 0)
        return false;
    return rest == 0 || (host->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}

/* "10.0.0.0/8": host is within. */
static bool matches_network(struct slice entry, size_t slash, const struct target *host)
{
    struct target network;
    int64_t bits;

    if (!take_target(slice_make(entry.ptr, slash), &network) || network.n_bytes == 0 ||
        slice_parse_i64(slice_from(entry, slash + 1), &bits) != 0)
        return false;
    return bits >= 0 && bits <= (int64_t)network.n_bytes * 8 && in_network(host, &network, bits);
}

static bool matches_name(struct slice entry, const struct target *host)
{
    struct target other;
    bool below_only;

    if (slice_starts_with(entry, SLICE("*.")))
        entry = slice_from(entry, 1);
    below_only = slice_starts_with(entry, SLICE("."));
    if (!take_target(slice_from(entry, below_only), &other))
        return false;
    if (other.n_bytes != 0 || host->n_bytes != 0)
        return other.n_bytes != 0 && in_network(host, &other, (int64_t)other.n_bytes * 8);
    if (!below_only && strcasecmp(host->name, other.name) == 0)
        return true;
    return ends_with(host->name, other.name) &&
           host->name[strlen(host->name) - strlen(other.name) - 1] == '.';
}

/* Takes a ":PORT" off the entry; false: it is another port, or none. */
static bool take_port(struct slice *entry, uint16_t port)
{
    const char *bracket = slice_find_byte(*entry, ']');
    const char *first = slice_find_byte(*entry, ':');
    const char *colon = NULL;
    int64_t wanted;

    if (slice_starts_with(*entry, SLICE("[")) && bracket != NULL) {
        struct slice rest = slice_from(*entry, (size_t)(bracket + 1 - entry->ptr));

        *entry = slice_make(entry->ptr + 1, (size_t)(bracket - entry->ptr) - 1);
        if (rest.len == 0)
            return true;
        return rest.ptr[0] == ':' && slice_parse_i64(slice_from(rest, 1), &wanted) == 0 &&
               wanted == port;
    }
    /* One colon parts a port; more are an IPv6 address. */
    if (first != NULL &&
        memchr(first + 1, ':', entry->len - (size_t)(first + 1 - entry->ptr)) == NULL)
        colon = first;
    if (colon == NULL)
        return true;
    if (slice_parse_i64(slice_from(*entry, (size_t)(colon + 1 - entry->ptr)), &wanted) != 0 ||
        wanted != port)
        return false;
    entry->len = (size_t)(colon - entry->ptr);
    return true;
}

static bool matches(struct slice entry, const struct target *host, uint16_t port)
{
    const char *slash;

    if (slice_eq_str(entry, "*"))
        return true;
    if (!take_port(&entry, port))
        return false;
    slash = slice_find_byte(entry, '/');
    if (slash != NULL)
        return matches_network(entry, (size_t)(slash - entry.ptr), host);
    return matches_name(entry, host);
}

static bool parts_entries(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n';
}

bool net_proxy_exempt(struct slice list, struct slice host, uint16_t port)
{
    struct target target;

    if (!take_target(host, &target))
        return false;
    if (is_local(&target))
        return true;
    while (list.len != 0) {
        size_t n = 0;

        while (n < list.len && !parts_entries(list.ptr[n]))
            n++;
        if (n != 0 && matches(slice_make(list.ptr, n), &target, port))
            return true;
        list = slice_from(list, n + 1);
    }
    return false;
}
