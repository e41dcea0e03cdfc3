#include "reach/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "net/proxy.h"
#include "reach/secrets.h"
#include "wire/http.h"

static void on_watch(void *arg)
{
    struct proxy *proxy = arg;
    proxy->changed(proxy->arg);
}

int proxy_init(struct proxy *proxy, struct io_loop *loop, const struct settings_stream *settings,
               void (*changed)(void *arg), void *arg, struct error *err)
{
    char path[SECRET_PATH_SIZE];
    *proxy = (struct proxy){.settings = settings, .changed = changed, .arg = arg};
    buf_init(&proxy->password, LIMIT_SECRET);
    if (settings->proxy_password == NULL || !secret_path(settings->proxy_password, path))
        return 0;
    return io_watch_start(loop, path, on_watch, proxy, &proxy->watch, err);
}

void proxy_fini(struct proxy *proxy)
{
    if (proxy->watch != NULL)
        io_watch_close(proxy->watch);
    buf_wipe(&proxy->password);
    buf_fini(&proxy->password);
    explicit_bzero(&proxy->url, sizeof(proxy->url));
}

/* ---- the environment ---- */

/* The first of the names that is set to something; *name is it. */
static const char *first_set(const char *const *names, const char **name)
{
    for (; *names != NULL; names++) {
        const char *value = getenv(*names);
        if (value != NULL && value[0] != '\0') {
            *name = *names;
            return value;
        }
    }
    return NULL;
}

static bool is_exempt(const struct http_url *url)
{
    static const char *const names[] = {"no_proxy", "NO_PROXY", NULL};
    const char *name;
    const char *list = first_set(names, &name);
    return net_proxy_exempt(slice_str(list != NULL ? list : ""), url->host, url->port);
}

/* A proxy without a scheme is one of http://, as for everybody who reads these variables. */
static int parse_variable(struct proxy *proxy, const char *name, const char *value,
                          struct error *err)
{
    char *text;
    if (asprintf(&text, "%s%s", strstr(value, "://") != NULL ? "" : "http://", value) < 0)
        return error_set(err, ERR_NOMEM, "out of memory");
    int rc = proxy_url_parse(text, &proxy->url, err);
    explicit_bzero(text, strlen(text));
    free(text);
    return rc != 0 ? error_wrap(err, "proxy of the environment variable %s", name) : 0;
}

/* *used: there is one. */
static int from_environment(struct proxy *proxy, const struct http_url *url, bool *used,
                            struct error *err)
{
    static const char *const secure[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                         NULL};
    static const char *const plain[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", NULL};
    const char *name;
    const char *value = first_set(url->secure ? secure : plain, &name);
    proxy->from = value != NULL ? name : NULL;
    proxy->exempt = value != NULL && is_exempt(url);
    *used = value != NULL && !proxy->exempt;
    return *used ? parse_variable(proxy, name, value, err) : 0;
}

/* ---- the choice ---- */

static int read_password(struct proxy *proxy, struct error *err)
{
    const char *source = proxy->settings->proxy_password;
    buf_wipe(&proxy->password);
    if (source == NULL)
        return 0;
    int rc = secret_read(source, &proxy->password, err);
    if (rc != 0) {
        proxy->lacks_secret = true;
        return error_wrap(err, "proxy_password");
    }
    return 0;
}

static int choose(struct proxy *proxy, const struct http_url *url, bool *used, struct error *err)
{
    const char *configured = proxy->settings->proxy;
    *used = proxy->exempt = false;
    proxy->from = NULL;
    if (configured == NULL)
        return from_environment(proxy, url, used, err);
    proxy->from = "proxy";
    if (strcmp(configured, "none") == 0)
        return 0;
    *used = true;
    int rc = proxy_url_parse(configured, &proxy->url, err);
    return rc != 0 ? rc : read_password(proxy, err);
}

int proxy_choose(struct proxy *proxy, struct slice url, const struct net_proxy **out,
                 struct error *err)
{
    struct http_url parsed;
    bool used = false;
    proxy->failed = proxy->lacks_secret = false;
    *out = NULL;
    int rc = http_url_parse(url, &parsed, err);
    if (rc == 0) {
        rc = choose(proxy, &parsed, &used, err);
        proxy->failed = rc != 0;
    }
    if (rc != 0 || !used)
        return rc;
    proxy->chosen = (struct net_proxy){
        .host = slice_str(proxy->url.host),
        .port = proxy->url.port,
    };
    if (proxy->url.has_user) {
        proxy->chosen.user = slice_str(proxy->url.user);
        proxy->chosen.password =
            proxy->url.has_password ? slice_str(proxy->url.password) : buf_slice(&proxy->password);
    }
    *out = &proxy->chosen;
    return 0;
}
