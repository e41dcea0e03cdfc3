#include "daemon/http_auth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/log.h"
#include "reach/secrets.h"

struct http_auth {
    char *name, *source;
    struct buf token; /* empty: it cannot be read */
    struct io_watch *watch;
};

static void read_token(struct http_auth *auth)
{
    struct error err = {0};
    buf_wipe(&auth->token);
    if (secret_read(auth->source, &auth->token, &err) == 0)
        return;
    buf_wipe(&auth->token);
    log_error(NULL, NULL, "listen %s: auth: %s; nobody is let in until it can be read", auth->name,
              err.text);
}

static void on_change(void *arg)
{
    read_token(arg);
}

int http_auth_new(struct io_loop *loop, const char *name, const char *source,
                  struct http_auth **out, struct error *err)
{
    char path[SECRET_PATH_SIZE];
    struct http_auth *auth = calloc(1, sizeof(*auth));
    if (auth == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    auth->name = strdup(name);
    auth->source = strdup(source);
    buf_init(&auth->token, LIMIT_SECRET);
    if (auth->name == NULL || auth->source == NULL) {
        http_auth_free(auth);
        return error_set(err, ERR_NOMEM, "out of memory");
    }
    read_token(auth);
    if (secret_path(source, path)) {
        int status = io_watch_start(loop, path, on_change, auth, &auth->watch, err);
        if (status != 0) {
            http_auth_free(auth);
            return status;
        }
    }
    *out = auth;
    return 0;
}

void http_auth_free(struct http_auth *auth)
{
    if (auth == NULL)
        return;
    if (auth->watch != NULL)
        io_watch_close(auth->watch);
    buf_wipe(&auth->token);
    buf_fini(&auth->token);
    free(auth->name);
    free(auth->source);
    free(auth);
}

/* Every byte of what was sent is looked at, whatever the token is. */
static bool same(struct slice sent, struct slice token)
{
    unsigned char differs = sent.len != token.len;
    for (size_t i = 0; i < sent.len; i++)
        differs |= (unsigned char)(sent.ptr[i] ^ token.ptr[i % token.len]);
    return differs == 0;
}

enum http_auth_verdict http_auth_check(const struct http_auth *auth, struct slice header)
{
    static const struct slice scheme = SLICE_INIT("Bearer ");
    if (auth->token.len == 0)
        return HTTP_AUTH_NO_TOKEN;
    if (header.len <= scheme.len || strncasecmp(header.ptr, scheme.ptr, scheme.len) != 0)
        return HTTP_AUTH_BAD;
    return same(slice_trim(slice_from(header, scheme.len)), buf_slice(&auth->token))
               ? HTTP_AUTH_GOOD
               : HTTP_AUTH_BAD;
}
