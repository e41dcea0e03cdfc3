/*
 * trace_script: the language of the traces.
 *
 *     profile scaiwave            a shipped profile; `set live.when = open` overrides a key of it
 *     position                    before start: one is stored; later: flow has learnt one
 *     seed 7                      of all jitter
 *     pongs off                   from here pings go unanswered; on is the beginning, and hides
 *                                 them
 *     pongs 120                   they come by themselves, and took 120 ms
 *     trait heartbeat.every 10000 a field of the compiled profile (trace_profile.c names them)
 *     send subscribe 5000         a [send subscribe] whose answer has 5 s
 *     beats shown                 HEARTBEAT is hidden while pongs are on, unless asked for
 *     saves shown                 SAVE is hidden, unless asked for
 *     doubts shown                DOUBT is hidden and answered by `follows`, unless asked for
 *     slots manual                ASK_SLOT and DROP_SLOT are shown; a slot comes by `slot`, waits
 *                                 by `slot-later MS ["TEXT"]`; auto is the beginning: at once
 *     restart after=500           the process died, and another one began 500 ms later with what
 *                                 was saved; [wall=MS] by the wall clock, [source_changed]
 *     @1200 open                  an event at 1200 ms; ticks that are due before come before
 *     +50 page items=3 fresh=3    an event 50 ms later
 *     run until 60000, run for 500, tick     only ticks; tick runs to the next deadline
 *     jump 90000                  the process stood still until then, then a TICK
 *
 * `start on_rtt=reconnect` is the stream's own setting; `start now` wants the newest position
 * first.
 *
 * Events: start stop connected open held_first held_full position store_stalled store_ready
 * credential pause resume reconnect rx (a frame came in) acked
 * network [slept=MS] expiring window_half met hole doubt follows unkeyed fallback_open; pong MS;
 * sent SEND, answered SEND; refresh_failed END, fallback_failed END, fallback_closed CODE; closed
 * CODE [local]
 * ["TEXT"]; failed END, http_failed END with END status=N [retry_after=MS] | dns tcp tls stripped
 * handshake credential http | timeout=PHASE, and ["TEXT"]; page [items=N] [fresh=N] [more]
 * [reached] [next] [owed] [gone] [unkeyed] [suspects=N] [found=N]; rule KIND [delay=MS]
 * [SETTING=MS] [moved]
 * ["TEXT"]; hole ["TEXT"]. `link=N` and `request=N` name another than the newest.
 */
#ifndef HAWSER_TESTS_SIM_TRACE_SCRIPT_H
#define HAWSER_TESTS_SIM_TRACE_SCRIPT_H

#include "base/buf.h"

/* Plays a script (which it takes apart) and writes it anew, with what the session does. Ends the
 * process with a message when the script makes no sense. */
void trace_play(const char *path, char *script, struct buf *out);

#endif
