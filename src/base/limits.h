/*
 * limits.h - every named bound of the program, in one place.
 *
 * Decides: how large a thing may be before we refuse it. A bound that the user can configure
 * has its default and its ceiling here.
 * Leaves to others: what is said and done when a bound is exceeded.
 * Owns: nothing. Fails: never.
 *
 * Include as "base/limits.h"; it is not <limits.h>.
 */
#ifndef HAWSER_BASE_LIMITS_H
#define HAWSER_BASE_LIMITS_H

enum {
    LIMIT_KIB = 1024,
    LIMIT_MIB = 1024 * 1024,

    /* Streams and what they remember. */
    LIMIT_STREAMS = 256,    /* streams in one configuration */
    LIMIT_STREAM_NAME = 64, /* bytes of a stream's name */
    LIMIT_POSITION = 512,   /* bytes of a resume position */
    LIMIT_VARIABLE = 8192,  /* bytes of one variable's value */
    LIMIT_SECRET = 65536,   /* bytes of a secret, such as a token read from a file */

    /* Messages. */
    LIMIT_MESSAGE_DEFAULT = 1 * LIMIT_MIB, /* bytes of one message, unless configured */
    LIMIT_MESSAGE_MAX = 16 * LIMIT_MIB,    /* bytes of one message, at most configurable */
    LIMIT_JSON_DEPTH = 256,                /* nested arrays and objects */
    LIMIT_EVENT_ID = 1024,                 /* bytes of an event's id */
    LIMIT_EVENT_TYPE = 256,                /* bytes of an event's type */
    LIMIT_CLOSE_REASON = 123,              /* bytes of a WebSocket close reason, RFC 6455 5.5 */

    /* Local listeners and their clients. */
    LIMIT_LISTENERS = 16,  /* listeners in one configuration */
    LIMIT_LINE_IN = 65536, /* bytes of an NDJSON request line */

    /* Named consumers. */
    LIMIT_CONSUMERS = 1000,               /* names */
    LIMIT_CONSUMER_NAME = 64,             /* bytes of a name */
    LIMIT_CONSUMER_WINDOW = 10000,        /* events sent and not acknowledged, at most to ask for */
    LIMIT_CONSUMER_WINDOW_DEFAULT = 1000, /* and unless asked for */

    /* HTTP. */
    LIMIT_HTTP_HEADERS = 16384,       /* bytes of a whole header block */
    LIMIT_HTTP_BODY = 16 * LIMIT_MIB, /* bytes of a body we need */
    LIMIT_HTTP_ERROR_BODY = 2048,     /* bytes of an error's body we keep to show */

    /* Configuration. */
    LIMIT_INI_FILE = 1 * LIMIT_MIB,  /* bytes of the file */
    LIMIT_INI_LINE = 64 * LIMIT_KIB, /* bytes of one line */
    LIMIT_ERRORS = 200,              /* configuration errors reported at once */

    /* Diagnostics. */
    LIMIT_LOG_TEXT = 4096, /* bytes of one log message, longer ones are cut */
    LIMIT_LOG_NAME = 128,  /* bytes of the stream's and the link's name in a log record */
};

#endif
