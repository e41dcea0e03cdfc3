/*
 * From a name to a TCP connection, as happy eyeballs do it (RFC 8305). Both families come from one
 * lookup, getaddrinfo's, which ends when both have been answered: so there is no resolution delay
 * of section 3, but a name whose AAAA is never answered costs what the resolver makes of it. The
 * addresses are tried in the order of net/memory.h, each as soon as the one before it has failed,
 * or DIAL_STAGGER_MS after that was begun; the first that answers wins, the others are given up.
 * The name is looked up anew at each dialling.
 */
#include <stdio.h>
#include <stdlib.h>

#include "net/conn.h"
#include "net/memory.h"
#include "net/tunnel.h"

#define DIAL_STAGGER_MS 250 /* the Connection Attempt Delay of RFC 8305 section 5 */

enum { REASON_TEXT = 96 };

struct attempt {
    struct dial *dial;
    struct io_address address;
    struct io_stream *stream; /* NULL: not begun, or ended */
    char reason[REASON_TEXT]; /* of its failure, "": none yet */
};

struct dial {
    struct conn *conn;
    struct io_resolve *resolve;
    struct io_timer *stagger;
    unsigned count;   /* of addresses */
    unsigned started; /* of those, counting the ones that were refused */
    unsigned pending;
    unsigned silent; /* gave no answer at all */
    struct attempt attempts[IO_ADDRESSES_MAX];
};

/* Whose name it is: the proxy's where there is one. */
static const char *dialled_host(const struct conn *conn)
{
    return conn->tunnel != NULL ? conn->tunnel->host : conn->host;
}

static uint16_t dialled_port(const struct conn *conn)
{
    return conn->tunnel != NULL ? conn->tunnel->port : conn->port;
}

/* ---- ends ---- */

static void fail(struct dial *dial, enum net_end_kind kind, const char *text)
{
    struct conn *conn = dial->conn;
    char with_proxy[1024]; /* conn_fail() cuts it */

    if (conn->tunnel == NULL) {
        conn_fail(conn, kind, text);
        return;
    }
    snprintf(with_proxy, sizeof with_proxy, "proxy %s:%u: %s", conn->tunnel->host,
             conn->tunnel->port, text);
    conn_fail(conn, kind, with_proxy);
}

/* io says "connect to ADDRESS: why"; in a list of addresses the first words would only repeat. */
static void set_reason(struct attempt *attempt, const char *text)
{
    const char *colon = strstr(text, ": ");

    snprintf(attempt->reason, sizeof attempt->reason, "%.*s", REASON_TEXT - 1,
             colon != NULL ? colon + 2 : text);
}

/* The addresses that failed for the same reason as this one, then the reason; they are taken. */
static void describe_like(struct dial *dial, const struct attempt *first, struct buf *out)
{
    char reason[REASON_TEXT];
    bool more = false;

    memcpy(reason, first->reason, sizeof reason);
    for (unsigned i = 0; i < dial->count; i++) {
        struct attempt *attempt = &dial->attempts[i];
        char address[CONN_ADDRESS_TEXT];

        if (attempt->reason[0] == '\0' || strcmp(attempt->reason, reason) != 0)
            continue;
        io_address_format(&attempt->address, address, sizeof address);
        (void)buf_appendf(out, "%s%s", more ? ", " : "", address);
        attempt->reason[0] = '\0';
        more = true;
    }
    (void)buf_appendf(out, ": %s", reason);
}

static void all_failed(struct dial *dial)
{
    bool silent = dial->silent == dial->count;
    struct buf text;

    /* Without memory the text is shorter, no more. */
    buf_init(&text, IO_ADDRESSES_MAX * (CONN_ADDRESS_TEXT + REASON_TEXT));
    (void)buf_append_str(&text, dial->count == 1 ? "connect to " : "no address answered: ");
    for (unsigned i = 0, lists = 0; i < dial->count; i++) {
        if (dial->attempts[i].reason[0] == '\0')
            continue;
        (void)buf_append_str(&text, lists++ != 0 ? "; " : "");
        describe_like(dial, &dial->attempts[i], &text);
    }
    fail(dial, silent ? NET_END_TIMEOUT : NET_END_FAILED,
         text.len != 0 ? buf_cstr(&text) : error_text(ERR_NOMEM));
    buf_fini(&text);
}

/* ---- attempts ---- */

static void dial_next(struct dial *dial);

static void won(struct attempt *attempt)
{
    struct dial *dial = attempt->dial;
    struct conn *conn = dial->conn;
    struct io_stream *stream = attempt->stream;
    struct io_address address = attempt->address;

    /* One that answered at once, being the first, would be the first without being remembered. */
    if (dial->started > 1)
        net_memory_learn(conn->options.memory, dialled_host(conn), &address, io_now_ms(conn->loop));
    attempt->stream = NULL;
    conn->dial = NULL;
    dial_free(dial);
    conn_connected(conn, stream, &address);
}

static void lost(struct attempt *attempt, int status, const struct error *err)
{
    struct dial *dial = attempt->dial;
    struct conn *conn = dial->conn;

    io_stream_close(attempt->stream);
    attempt->stream = NULL;
    set_reason(attempt, err->text);
    net_memory_forget(conn->options.memory, dialled_host(conn), &attempt->address);
    dial->pending--;
    dial->silent += status == ERR_TIMEOUT;
    if (dial->started < dial->count)
        dial_next(dial);
    else if (dial->pending == 0)
        all_failed(dial);
}

static void on_tcp(void *arg, int status, const struct error *err)
{
    struct attempt *attempt = arg;
    struct conn *conn = attempt->dial->conn;

    conn_enter(conn);
    if (status == 0)
        won(attempt);
    else
        lost(attempt, status, err);
    conn_leave(conn);
}

/* What is not encrypted stays on this machine, unless the user has said otherwise: that goes for a
 * proxy, too, to whom localhost would be another machine. */
static bool may_connect(struct attempt *attempt)
{
    const struct conn *conn = attempt->dial->conn;

    if (conn->secure || conn->options.allow_plaintext || io_address_is_loopback(&attempt->address))
        return true;
    snprintf(attempt->reason, sizeof attempt->reason, "%s",
             "refused: not encrypted, and not a loopback address (plaintext = yes allows it)");
    return false;
}

static bool try(struct attempt *attempt)
{
    struct conn *conn = attempt->dial->conn;
    struct error err;

    if (!may_connect(attempt))
        return false;
    if (io_tcp_connect(conn->loop, &attempt->address, conn->options.tcp_timeout_ms, on_tcp, attempt,
                       &attempt->stream, &err) == 0)
        return true;
    attempt->stream = NULL;
    set_reason(attempt, err.text);
    net_memory_forget(conn->options.memory, dialled_host(conn), &attempt->address);
    return false;
}

static void dial_next(struct dial *dial)
{
    bool begun = false;

    while (!begun && dial->started < dial->count)
        begun = try(&dial->attempts[dial->started++]);
    dial->pending += begun;
    if (dial->started < dial->count)
        io_timer_set(dial->stagger, DIAL_STAGGER_MS);
    else
        io_timer_clear(dial->stagger);
    if (dial->pending == 0)
        all_failed(dial);
}

static void on_stagger(void *arg)
{
    struct dial *dial = arg;
    struct conn *conn = dial->conn;

    conn_enter(conn);
    dial_next(dial);
    conn_leave(conn);
}

/* ---- the name ---- */

static void on_resolved(void *arg, int status, const struct error *err,
                        const struct io_address *addresses, unsigned count)
{
    struct dial *dial = arg;
    struct conn *conn = dial->conn;
    struct io_address ordered[IO_ADDRESSES_MAX];

    conn_enter(conn);
    dial->resolve = NULL;
    if (status != 0) {
        fail(dial, status == ERR_TIMEOUT ? NET_END_TIMEOUT : NET_END_FAILED, err->text);
    } else {
        memcpy(ordered, addresses, count * sizeof *addresses);
        net_memory_order(conn->options.memory, dialled_host(conn), ordered, count,
                         io_now_ms(conn->loop));
        for (unsigned i = 0; i < count; i++)
            dial->attempts[i] = (struct attempt){.dial = dial, .address = ordered[i]};
        dial->count = count;
        conn_phase(conn, NET_PHASE_TCP);
        dial_next(dial);
    }
    conn_leave(conn);
}

/* The proxy looks the name up, so that all there is to judge by is what it says. */
static bool names_loopback(const struct conn *conn)
{
    struct io_address address;

    return strcasecmp(conn->host, "localhost") == 0 ||
           (io_address_parse(conn->host, conn->port, &address) && io_address_is_loopback(&address));
}

int dial_start(struct conn *conn, struct error *err)
{
    struct dial *dial;
    int rc;

    if (conn->tunnel != NULL && !conn->secure && !conn->options.allow_plaintext &&
        !names_loopback(conn))
        return error_set(err, ERR_PERM,
                         "connect to %s through a proxy: refused: not encrypted, and not a "
                         "loopback address (plaintext = yes allows it)",
                         conn->tunnel->target);
    dial = calloc(1, sizeof *dial);
    if (dial == NULL)
        return error_set(err, ERR_NOMEM, "connect: out of memory");
    dial->conn = conn;
    conn_phase(conn, NET_PHASE_DNS);
    rc = io_timer_new(conn->loop, on_stagger, dial, &dial->stagger);
    if (rc == 0)
        rc = io_resolve_start(conn->loop, dialled_host(conn), dialled_port(conn),
                              conn->options.dns_timeout_ms, on_resolved, dial, &dial->resolve);
    if (rc != 0) {
        dial->resolve = NULL;
        dial_free(dial);
        return error_set(err, rc, "resolve %s: %s", dialled_host(conn), error_text(rc));
    }
    conn->dial = dial;
    return 0;
}

void dial_free(struct dial *dial)
{
    if (dial == NULL)
        return;
    if (dial->resolve != NULL)
        io_resolve_cancel(dial->resolve);
    for (unsigned i = 0; i < dial->count; i++)
        if (dial->attempts[i].stream != NULL)
            io_stream_close(dial->attempts[i].stream);
    if (dial->stagger != NULL)
        io_timer_close(dial->stagger);
    free(dial);
}
