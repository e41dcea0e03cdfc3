/*
 * From a name to a TCP connection: every address of the name in turn, each with a deadline of its
 * own, until one answers.
 */
#include <stdio.h>

#include "net/conn.h"

static void dial_next(struct conn *conn);

/* io says "connect to ADDRESS: why"; in a list of addresses the first words would only repeat. */
static const char *without_prefix(const char *text)
{
    static const char prefix[] = "connect to ";

    return strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : text;
}

static void address_failed(struct conn *conn, const char *text)
{
    /* Bounded by IO_ADDRESSES_MAX texts; without memory the list is shorter, no more. */
    (void)buf_appendf(&conn->errors, "%s%s", conn->errors.len != 0 ? "; " : "",
                      without_prefix(text));
}

static void all_failed(struct conn *conn)
{
    bool silent = conn->n_timeouts == conn->n_addresses;
    char text[sizeof((struct net_end *)0)->text];

    snprintf(
        text, sizeof text, "%s%s",
        conn->n_addresses == 1 ? "connect to " : "no address answered: ", buf_cstr(&conn->errors));
    conn_fail(conn, silent ? NET_END_TIMEOUT : NET_END_FAILED, text);
}

static void on_tcp(void *arg, int status, const struct error *err)
{
    struct conn *conn = arg;

    conn_enter(conn);
    if (status == 0) {
        conn_connected(conn);
    } else {
        conn->n_timeouts += status == ERR_TIMEOUT;
        address_failed(conn, err->text);
        io_stream_close(conn->stream);
        conn->stream = NULL;
        dial_next(conn);
    }
    conn_leave(conn);
}

/* What is not encrypted stays on this machine, unless the user has said otherwise. */
static bool may_connect(struct conn *conn, const struct io_address *address)
{
    char text[160];

    if (conn->secure || conn->options.allow_plaintext || io_address_is_loopback(address))
        return true;
    snprintf(text, sizeof text,
             "%s: refused: not encrypted, and not a loopback address (plaintext = yes allows it)",
             conn->address);
    address_failed(conn, text);
    return false;
}

static void dial_next(struct conn *conn)
{
    while (conn->next_address < conn->n_addresses) {
        const struct io_address *address = &conn->addresses[conn->next_address++];
        struct error err;
        int rc;

        io_address_format(address, conn->address, sizeof conn->address);
        if (!may_connect(conn, address))
            continue;
        rc = io_tcp_connect(conn->loop, address, conn->options.tcp_timeout_ms, on_tcp, conn,
                            &conn->stream, &err);
        if (rc == 0)
            return;
        conn->stream = NULL;
        address_failed(conn, err.text);
    }
    all_failed(conn);
}

static void on_resolved(void *arg, int status, const struct error *err,
                        const struct io_address *addresses, unsigned count)
{
    struct conn *conn = arg;

    conn_enter(conn);
    conn->resolve = NULL;
    if (status != 0) {
        conn_fail(conn, status == ERR_TIMEOUT ? NET_END_TIMEOUT : NET_END_FAILED, err->text);
    } else {
        memcpy(conn->addresses, addresses, count * sizeof *addresses);
        conn->n_addresses = count;
        conn->phase = NET_PHASE_TCP;
        dial_next(conn);
    }
    conn_leave(conn);
}

int dial_start(struct conn *conn, struct error *err)
{
    int rc;

    conn->phase = NET_PHASE_DNS;
    rc = io_resolve_start(conn->loop, conn->host, conn->port, conn->options.dns_timeout_ms,
                          on_resolved, conn, &conn->resolve);
    if (rc != 0)
        error_set(err, rc, "resolve %s: %s", conn->host, error_text(rc));
    return rc;
}
