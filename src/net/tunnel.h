/*
 * tunnel: what is said to an HTTP proxy so that it passes bytes on, and what it answers (CONNECT,
 * RFC 9110 9.3.6; the login is Basic, RFC 7617).
 *
 * Decides: the request; which answers open the tunnel, which say no, and in what words. Leaves: the
 * connection, and the deadline, to conn.
 * Owns: copies of the proxy's and the target's names, and the request, which holds the login: it is
 * wiped when it has been sent.
 * Fails: ERR_NOMEM, ERR_INVAL for a login that has no place in a header.
 */
#ifndef HAWSER_NET_TUNNEL_H
#define HAWSER_NET_TUNNEL_H

#include "base/buf.h"
#include "net/net.h"
#include "wire/http.h"

struct tunnel {
    char *host; /* of the proxy */
    uint16_t port;
    char *target; /* "chat.example.com:443" */
    struct buf request;
    struct http_parser_state *parser;
    bool with_login;
};

enum tunnel_status { TUNNEL_AGAIN, TUNNEL_OPEN, TUNNEL_REFUSED };

int tunnel_new(const struct net_proxy *proxy, const struct http_url *url, struct tunnel **out,
               struct error *err);
void tunnel_free(struct tunnel *tunnel);
/* The request is out. */
void tunnel_sent(struct tunnel *tunnel);
/* Bytes of the proxy's: those behind *used are the tunnel's. TUNNEL_REFUSED: *end says why, but for
 * its phase. */
enum tunnel_status tunnel_feed(struct tunnel *tunnel, const char *bytes, size_t n, size_t *used,
                               struct net_end *end);
/* No more comes. True: a refusal was under way, and *end is it. */
bool tunnel_refused_so_far(const struct tunnel *tunnel, struct net_end *end);

#endif
