/* The server's answer to the offer. Grammar: RFC 6455 9.1; meaning: RFC 7692 5.2, 7.1. */
#include "wire/deflate.h"
#include "wire/http_text.h"

#define NAME "permessage-deflate"

enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
    PARAMETERS
};

static const char *const names[PARAMETERS] = {
    [SERVER_NO_CONTEXT_TAKEOVER] = "server_no_context_takeover",
    [CLIENT_NO_CONTEXT_TAKEOVER] = "client_no_context_takeover",
    [SERVER_MAX_WINDOW_BITS] = "server_max_window_bits",
    [CLIENT_MAX_WINDOW_BITS] = "client_max_window_bits",
};

static int fail(struct error *err, const char *text, struct slice what)
{
    return error_set(err, ERR_PROTOCOL, "WebSocket handshake: the server %s: " SLICE_FMT, text,
                     SLICE_ARG(what));
}

static void skip_blanks(struct slice *rest)
{
    while (rest->len > 0 && (*rest->ptr == ' ' || *rest->ptr == '\t'))
        *rest = slice_from(*rest, 1);
}

/* Takes this byte, and the blanks around it. */
static bool take(struct slice *rest, char byte)
{
    skip_blanks(rest);
    if (rest->len == 0 || *rest->ptr != byte)
        return false;
    *rest = slice_from(*rest, 1);
    skip_blanks(rest);
    return true;
}

/* Takes what stands before the next delimiter; false if that is no token. */
static bool take_token(struct slice *rest, struct slice *token)
{
    size_t n = 0;

    while (n < rest->len && strchr(" \t,;=\"", rest->ptr[n]) == NULL)
        n++;
    *token = slice_make(rest->ptr, n);
    *rest = slice_from(*rest, n);
    return http_is_token(*token);
}

/* In quotes too it must be a token, so an escape has no place in it. */
static bool take_value(struct slice *rest, struct slice *value)
{
    bool quoted = take(rest, '"');

    return take_token(rest, value) && (!quoted || take(rest, '"'));
}

/* A decimal without leading zeros, 8 to 15. */
static bool read_bits(struct slice value, unsigned *bits)
{
    uint64_t number;

    if (slice_parse_u64(value, &number) != 0 || value.ptr[0] == '0' || number < DEFLATE_BITS_MIN ||
        number > DEFLATE_BITS_MAX)
        return false;
    *bits = (unsigned)number;
    return true;
}

static int set_parameter(struct deflate_terms *terms, enum parameter which, struct slice value,
                         struct error *err)
{
    struct slice name = slice_str(names[which]);

    switch (which) {
    case SERVER_NO_CONTEXT_TAKEOVER:
    case CLIENT_NO_CONTEXT_TAKEOVER:
        if (value.ptr != NULL)
            return fail(err, "gave a value to a parameter of " NAME " that takes none", name);
        if (which == SERVER_NO_CONTEXT_TAKEOVER)
            terms->server_no_context_takeover = true;
        else
            terms->client_no_context_takeover = true;
        return 0;
    case SERVER_MAX_WINDOW_BITS:
    case CLIENT_MAX_WINDOW_BITS:
        if (value.ptr == NULL)
            return fail(err, "gave no value to a parameter of " NAME " that needs one", name);
        if (!read_bits(value,
                       which == SERVER_MAX_WINDOW_BITS ? &terms->server_bits : &terms->client_bits))
            return error_set(err, ERR_PROTOCOL,
                             "WebSocket handshake: the server answered " NAME " with %s=" SLICE_FMT
                             ", where 8 to 15 is legal",
                             names[which], SLICE_ARG(value));
        return 0;
    case PARAMETERS:
        break;
    }
    return ERR_INVAL;
}

static int read_parameter(struct slice *rest, struct deflate_terms *terms, unsigned *seen,
                          struct error *err)
{
    struct slice name, value = {NULL, 0};
    unsigned which = 0;

    if (!take_token(rest, &name) || (take(rest, '=') && !take_value(rest, &value)))
        return fail(err, "sent Sec-WebSocket-Extensions that cannot be read at", *rest);
    while (which < PARAMETERS && !http_eq_nocase(name, slice_str(names[which])))
        which++;
    if (which == PARAMETERS)
        return fail(err, "answered " NAME " with a parameter that there is not", name);
    if (*seen & 1u << which)
        return fail(err, "answered " NAME " with a parameter twice", name);
    *seen |= 1u << which;
    return set_parameter(terms, (enum parameter)which, value, err);
}

static int read_extension(struct slice *rest, struct deflate_terms *terms, struct error *err)
{
    struct slice name;
    unsigned seen = 0;
    int rc = 0;

    if (!take_token(rest, &name))
        return fail(err, "sent Sec-WebSocket-Extensions that cannot be read at", *rest);
    if (!http_eq_nocase(name, SLICE(NAME)))
        return fail(err, "turned on an extension that was not asked for", name);
    if (terms->agreed)
        return fail(err, "turned on an extension twice", name);
    terms->agreed = true;
    while (rc == 0 && take(rest, ';'))
        rc = read_parameter(rest, terms, &seen, err);
    return rc;
}

int deflate_answer_read(struct slice value, struct deflate_terms *terms, struct error *err)
{
    struct slice rest = value;
    int rc = 0;

    *terms =
        (struct deflate_terms){.server_bits = DEFLATE_BITS_MAX, .client_bits = DEFLATE_BITS_MAX};
    for (;;) {
        while (take(&rest, ',')) /* an element of a list may be empty, RFC 9110 5.6.1 */
            continue;
        skip_blanks(&rest);
        if (rest.len == 0)
            return 0;
        rc = read_extension(&rest, terms, err);
        skip_blanks(&rest);
        if (rc == 0 && rest.len > 0 && *rest.ptr != ',')
            rc = fail(err, "sent Sec-WebSocket-Extensions that cannot be read at", rest);
        if (rc != 0)
            return rc;
    }
}
