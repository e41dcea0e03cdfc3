/* doctor_link: what the files that deal with a link share. Nobody else includes it. */
#ifndef HAWSER_CTL_DOCTOR_LINK_H
#define HAWSER_CTL_DOCTOR_LINK_H

#include "ctl/doctor.h"

struct doctor_link {
    struct doctor *doctor;
    struct doctor_dial *facts;
    struct outgoing out;
    struct net_link *link; /* NULL: it has ended */
    struct io_timer *timer;
    bool credentials_missing;
    bool settled; /* it is live, or a rule has said why it never will be */
    bool leaving; /* it is we who close */
    int64_t opened_ms;
    uint32_t sent; /* sends with `once`, a mask */

    bool pong;
    int64_t pong_ms;

    /* While it listens. */
    bool listening;
    struct arrivals arrivals;
    int64_t rx_ms;    /* when the last byte was known to have come */
    int64_t heard_ms; /* the last message */
    int64_t beat_ms;  /* between heartbeats of the service's own; 0: none */
    uint64_t messages_at_ping;
    struct io_timer *busy, *beat;
};

/* Runs until *flag, the link's end, or the time. */
void doctor_link_wait(struct doctor_link *link, const bool *flag, int64_t ms);
/* A message has come: the profile's rules. */
void doctor_hello_open(struct doctor_link *link);
void doctor_hello_message(struct doctor_link *link, struct slice payload);
/* Renders and sends; false: a variable is not set. */
bool doctor_hello_send(struct doctor_link *link, unsigned send);
/* Before the message is looked at, and after it. */
void doctor_listen_message(struct doctor_link *link, size_t bytes);
void doctor_listen_look(struct doctor_link *link);

#endif
