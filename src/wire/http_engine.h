/*
 * http_engine: the one place that knows which HTTP parser library is underneath: llhttp where the
 * build found it, else http-parser, its predecessor. Private to wire.
 *
 * Decides: how the two differ: the way a callback stops the parser, and how what was consumed and
 * why it stopped are asked. Leaves: everything about messages to http_parser.c.
 * Fails: engine_run() and engine_finish() say false; engine_reason() says why.
 */
#ifndef HAWSER_WIRE_HTTP_ENGINE_H
#define HAWSER_WIRE_HTTP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

/* For on_headers_complete of both: there is no body, or what follows is another protocol. */
enum { ENGINE_NO_BODY = 1, ENGINE_UPGRADE = 2 };

#if HAWSER_LLHTTP

#include <llhttp.h>

typedef llhttp_t engine;
typedef llhttp_settings_t engine_settings;

static inline void engine_init(engine *e, const engine_settings *settings, void *data)
{
    llhttp_init(e, HTTP_RESPONSE, settings);
    e->data = data;
}

/* To be returned from on_message_complete: stops behind the message. */
static inline int engine_stop(engine *e)
{
    return HPE_PAUSED;
}

static inline bool engine_stopped(llhttp_errno_t rc)
{
    return rc == HPE_OK || rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE;
}

static inline bool engine_run(engine *e, const engine_settings *settings, const char *bytes,
                              size_t n, size_t *used)
{
    llhttp_errno_t rc = llhttp_execute(e, bytes, n);

    *used = rc == HPE_OK ? n : (size_t)(llhttp_get_error_pos(e) - bytes);
    return engine_stopped(rc);
}

static inline bool engine_finish(engine *e, const engine_settings *settings)
{
    return engine_stopped(llhttp_finish(e));
}

static inline const char *engine_reason(const engine *e)
{
    const char *reason = llhttp_get_error_reason(e);

    return reason != NULL ? reason : "malformed";
}

static inline bool engine_keep_alive(const engine *e)
{
    return llhttp_should_keep_alive(e) != 0;
}

#else

#include <http_parser.h>

typedef http_parser engine;
typedef http_parser_settings engine_settings;

static inline void engine_init(engine *e, const engine_settings *settings, void *data)
{
    http_parser_init(e, HTTP_RESPONSE);
    e->data = data;
}

/* To be returned from on_message_complete: stops behind the message. */
static inline int engine_stop(engine *e)
{
    http_parser_pause(e, 1);
    return 0;
}

static inline bool engine_stopped(const engine *e)
{
    return HTTP_PARSER_ERRNO(e) == HPE_OK || HTTP_PARSER_ERRNO(e) == HPE_PAUSED;
}

static inline bool engine_run(engine *e, const engine_settings *settings, const char *bytes,
                              size_t n, size_t *used)
{
    *used = http_parser_execute(e, settings, bytes, n);
    return engine_stopped(e);
}

static inline bool engine_finish(engine *e, const engine_settings *settings)
{
    http_parser_execute(e, settings, NULL, 0);
    return engine_stopped(e);
}

static inline const char *engine_reason(const engine *e)
{
    return http_errno_description(HTTP_PARSER_ERRNO(e));
}

static inline bool engine_keep_alive(const engine *e)
{
    return http_should_keep_alive(e) != 0;
}

#endif

#endif
