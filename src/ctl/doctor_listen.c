/*
 * Pings, and listening. While it listens it says nothing by itself, but for the service's own
 * heartbeat: only so does a silence show what cuts silent links. Where messages come anyway, pings
 * go out among them, to show what holds frames back.
 */
#include <stdio.h>

#include "ctl/doctor_link.h"

static int64_t pong_timeout_ms(const struct doctor_link *link)
{
    int64_t ms = link->doctor->profile->heartbeat.pong_timeout_ms;
    return ms > 0 && ms < DOCTOR_PONG_MS ? ms : DOCTOR_PONG_MS;
}

void doctor_ping(struct doctor_link *link, unsigned pings)
{
    struct doctor_dial *facts = link->facts;
    if (link->doctor->profile->connect.ping_forbidden)
        return;
    while (facts->pings < pings && link->link != NULL) {
        link->pong = false;
        int rc = net_link_ping(link->link);
        if (rc == ERR_EOF) /* it is closing, and the reason comes with its end */
            doctor_link_wait(link, &link->pong, 2 * NET_CLOSE_WAIT_MS);
        if (rc != 0)
            return;
        doctor_link_wait(link, &link->pong, pong_timeout_ms(link));
        if (link->link == NULL)
            return;
        facts->pongs_ms[facts->pings++] = link->pong ? link->pong_ms : -1;
        /* The next pong would be that of this ping; and a slow one says all there is to say. */
        if (!link->pong || link->pong_ms >= DOCTOR_SLOW_PING_MS)
            return;
    }
}

/* ---- listening ---- */

void doctor_listen_look(struct doctor_link *link)
{
    struct doctor_listening *listening = &link->facts->listening;
    char text[400];
    (void)arrivals_held_back(&link->arrivals, io_now_ms(link->doctor->loop), text, sizeof(text));
    if (link->arrivals.counts.held_back == listening->held_back)
        return;
    listening->held_back = link->arrivals.counts.held_back;
    if (link->arrivals.flood.silent_ms > listening->held_ms)
        listening->held_ms = link->arrivals.flood.silent_ms;
}

static void note_silence(struct doctor_link *link, int64_t now_ms)
{
    struct doctor_listening *listening = &link->facts->listening;
    if (now_ms - link->heard_ms > listening->longest_silence_ms)
        listening->longest_silence_ms = now_ms - link->heard_ms;
    link->heard_ms = now_ms;
}

void doctor_listen_message(struct doctor_link *link, size_t bytes)
{
    struct doctor_listening *listening = &link->facts->listening;
    int64_t now_ms = io_now_ms(link->doctor->loop);
    listening->messages++;
    listening->bytes += bytes;
    note_silence(link, now_ms);
    (void)arrivals_message(&link->arrivals, now_ms);
}

static void on_busy(void *arg)
{
    struct doctor_link *link = arg;
    uint64_t messages = link->facts->listening.messages;
    doctor_listen_look(link);
    if (link->link != NULL && messages != link->messages_at_ping)
        (void)net_link_ping(link->link);
    link->messages_at_ping = messages;
    io_timer_set(link->busy, DOCTOR_BUSY_PING_MS);
}

static void on_beat(void *arg)
{
    struct doctor_link *link = arg;
    const struct profile *profile = link->doctor->profile;
    if (link->link != NULL)
        (void)doctor_hello_send(link, profile->heartbeat.send);
    io_timer_set(link->beat, link->beat_ms);
}

static void start_timers(struct doctor_link *link)
{
    const struct profile *profile = link->doctor->profile;
    struct io_loop *loop = link->doctor->loop;
    if (link->beat_ms == 0)
        link->beat_ms = profile->heartbeat.every_ms;
    if (!profile->connect.ping_forbidden && io_timer_new(loop, on_busy, link, &link->busy) == 0)
        io_timer_set(link->busy, DOCTOR_BUSY_PING_MS);
    if (profile->heartbeat.send != PROFILE_NONE && link->beat_ms > 0 &&
        io_timer_new(loop, on_beat, link, &link->beat) == 0)
        io_timer_set(link->beat, link->beat_ms);
}

static void stop_timers(struct doctor_link *link)
{
    struct io_timer **timers[] = {&link->busy, &link->beat};
    for (unsigned i = 0; i < 2; i++) {
        if (*timers[i] != NULL)
            io_timer_close(*timers[i]);
        *timers[i] = NULL;
    }
}

/* Whether it is still there: a NAT that has forgotten a connection says nothing. */
static void ping_at_end(struct doctor_link *link)
{
    struct doctor_listening *listening = &link->facts->listening;
    listening->pong_ms = -1;
    if (link->doctor->profile->connect.ping_forbidden || link->link == NULL)
        return;
    link->pong = false;
    listening->pinged = net_link_ping(link->link) == 0;
    if (listening->pinged)
        doctor_link_wait(link, &link->pong, pong_timeout_ms(link));
    if (link->pong)
        listening->pong_ms = link->pong_ms;
}

void doctor_listen(struct doctor_link *link)
{
    static const bool never;
    struct doctor_listening *listening = &link->facts->listening;
    int64_t began_ms = io_clock_ms();
    if (link->doctor->options.listen_ms == 0 || link->link == NULL)
        return;
    *listening = (struct doctor_listening){.slowest_pong_ms = -1, .pong_ms = -1};
    arrivals_init(&link->arrivals);
    arrivals_begin(&link->arrivals, io_now_ms(link->doctor->loop));
    link->heard_ms = began_ms;
    link->listening = true;
    start_timers(link);
    doctor_link_wait(link, link->facts->rule.said ? &link->facts->rule.said : &never,
                     link->doctor->options.listen_ms);
    link->listening = false;
    stop_timers(link);
    int64_t now_ms = io_clock_ms();
    note_silence(link, now_ms);
    listening->listened_ms = now_ms - began_ms;
    listening->silent_ms = now_ms - link->rx_ms;
    listening->age_ms = now_ms - link->opened_ms;
    ping_at_end(link);
}
