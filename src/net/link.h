/*
 * link.h - what the files of the WebSocket link share: link.c has its life from the dialling to
 * the end, frames.c the frames of an open one.
 */
#ifndef HAWSER_NET_LINK_H
#define HAWSER_NET_LINK_H

#include "net/conn.h"

enum link_state {
    LINK_DIALING,
    LINK_UPGRADING, /* the request is out */
    LINK_OPEN,
    LINK_CLOSING,  /* our close frame is out: the peer's is awaited, or its end */
    LINK_DRAINING, /* all is said: the peer is left the time to hang up first */
    LINK_ENDING,   /* closed by the user before it was open */
};

#define LINK_MASKS 256 /* masks made at once: one system call for so many frames */

struct net_link {
    struct conn conn;
    const struct net_link_events *events;
    void *arg;
    enum link_state state;
    struct buf request; /* the upgrade request, until it is sent */
    char key[25];
    char *subprotocol;
    struct http_parser_state *parser; /* until it is open */
    struct ws_decoder *decoder;
    struct deflate_terms terms; /* agreed when it opened */
    struct net_end end;         /* what on_closed will say, from LINK_CLOSING on */

    struct buf frame; /* one outgoing frame */
    uint8_t masks[LINK_MASKS][4];
    unsigned masks_left;
    uint32_t ping_cookie; /* marks our pings, so that only their echoes are believed */
    uint32_t ping_count;
};

/* Ends the link in link->end. Only within a callback of conn. */
void link_finish(struct net_link *link);
void link_set_end(struct net_link *link, enum net_end_kind kind, int code, bool local,
                  struct slice text);
/* Nothing more to say: from here on bytes are thrown away until the peer hangs up. */
void link_drain(struct net_link *link);

int link_decoder_new(struct net_link *link, uint64_t max_message);
/* Decodes frames and acts on them; leaves bytes only if it has paused the connection. */
void link_frames(struct net_link *link, struct slice *bytes);
/* Sends a close frame; failing that, the end of the connection will show soon. */
void link_send_close(struct net_link *link, int code, struct slice reason);

#endif
