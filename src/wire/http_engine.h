/*
 * http_engine: the one place that knows which HTTP parser library is underneath: llhttp where the
 * build found it, else http-parser, its predecessor. Private to wire.
 *
 * Decides: how the two differ: how what was consumed and why it stopped are asked. Leaves:
 * everything about messages to http_parser.c, which lets the library see header blocks only.
 * Fails: engine_run() says false; engine_reason() says why.
 */
#ifndef HAWSER_WIRE_HTTP_ENGINE_H
#define HAWSER_WIRE_HTTP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

/* For on_headers_complete of both: stop here, as if another protocol followed. */
enum { ENGINE_STOP = 2 };

#if HAWSER_LLHTTP

#include <llhttp.h>

#define ENGINE_NAME "llhttp"
#define ENGINE_VERSION LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH

typedef llhttp_t engine;
typedef llhttp_settings_t engine_settings;

static inline void engine_init(engine *e, const engine_settings *settings, void *data)
{
    llhttp_init(e, HTTP_RESPONSE, settings);
    e->data = data;
}

static inline bool engine_run(engine *e, const engine_settings *settings, const char *bytes,
                              size_t n, size_t *used)
{
    llhttp_errno_t rc = llhttp_execute(e, bytes, n);

    *used = rc == HPE_OK ? n : (size_t)(llhttp_get_error_pos(e) - bytes);
    return rc == HPE_OK || rc == HPE_PAUSED_UPGRADE;
}

static inline const char *engine_reason(const engine *e)
{
    const char *reason = llhttp_get_error_reason(e);

    return reason != NULL ? reason : "malformed";
}

#else

#include <http_parser.h>

#define ENGINE_NAME "http-parser"
#define ENGINE_VERSION                                                                             \
    HTTP_PARSER_VERSION_MAJOR, HTTP_PARSER_VERSION_MINOR, HTTP_PARSER_VERSION_PATCH

typedef http_parser engine;
typedef http_parser_settings engine_settings;

static inline void engine_init(engine *e, const engine_settings *settings, void *data)
{
    http_parser_init(e, HTTP_RESPONSE);
    e->data = data;
}

static inline bool engine_run(engine *e, const engine_settings *settings, const char *bytes,
                              size_t n, size_t *used)
{
    *used = http_parser_execute(e, settings, bytes, n);
    return HTTP_PARSER_ERRNO(e) == HPE_OK;
}

static inline const char *engine_reason(const engine *e)
{
    return http_errno_description(HTTP_PARSER_ERRNO(e));
}

#endif

#endif
