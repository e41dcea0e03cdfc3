/* http_pages: what there is on an http listener, and who may see it. */
#include <string.h>

#include "daemon/http_auth.h"
#include "daemon/http_client.h"
#include "daemon/metrics.h"
#include "daemon/status.h"
#include "daemon/upstream.h"

static const char text_type[] = "text/plain; charset=utf-8";

/* ---- writing ---- */

int http_page_write(struct buf *out, int status, const char *type, const char *more,
                    struct slice body, bool head_only, bool keep_alive)
{
    size_t before = out->len;
    int rc = http_server_write_status(out, status);
    if (rc == 0)
        rc = buf_appendf(out,
                         "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                         "X-Content-Type-Options: nosniff\r\n%sConnection: %s\r\n\r\n",
                         type, body.len, more, keep_alive ? "keep-alive" : "close");
    if (rc == 0 && !head_only)
        rc = buf_append_slice(out, body);
    if (rc != 0)
        out->len = before;
    return rc;
}

static int write_text(struct buf *out, int status, const char *more, const char *text,
                      bool head_only, bool keep_alive)
{
    struct buf body;
    buf_init(&body, 8192);
    int rc = buf_append_str(&body, text);
    if (rc == 0)
        rc = buf_append_byte(&body, '\n');
    if (rc == 0)
        rc = http_page_write(out, status, text_type, more, buf_slice(&body), head_only, keep_alive);
    buf_fini(&body);
    return rc;
}

int http_client_write_refusal(struct buf *out, int status, const char *text)
{
    return write_text(out, status, status == 503 ? "Retry-After: 10\r\n" : "", text, false, false);
}

void http_page_refuse(struct http_client *client, const struct http_server_refusal *refusal)
{
    if (write_text(&client->outlet.head, refusal->status, "", refusal->reason, false, false) != 0)
        client->outlet.ending = true;
}

/* One request, on its way to an answer. */
struct exchange {
    struct http_client *client;
    const struct http_server_request *request;
};

static bool answer_text(const struct exchange *x, int status, const char *more, const char *text)
{
    return write_text(&x->client->outlet.head, status, more, text,
                      x->request->method == HTTP_METHOD_HEAD, x->request->keep_alive) == 0 &&
           x->request->keep_alive;
}

/* Counts what is large: many that ask and do not read would cost much together. */
static bool answer_body(const struct exchange *x, int status, const char *type, struct slice body)
{
    struct http_client *client = x->client;
    struct listener *listener = client->listener;
    if (body.len > HTTP_CLIENT_LARGE) {
        if (listener->answering + body.len > HTTP_CLIENT_LARGE_MAX)
            return answer_text(x, 503, "Retry-After: 10\r\n",
                               "too many answers have not been read yet");
        client->counted += body.len;
        listener->answering += body.len;
    }
    return http_page_write(&client->outlet.head, status, type, "", body,
                           x->request->method == HTTP_METHOD_HEAD, x->request->keep_alive) == 0 &&
           x->request->keep_alive;
}

/* ---- pages ---- */

static bool write_metrics(const struct exchange *x)
{
    struct buf body;
    buf_init(&body, HTTP_CLIENT_ANSWER_MAX - HTTP_SERVER_HEAD_MAX);
    bool more = metrics_write(x->client->listener, &body) == 0
                    ? answer_body(x, 200, METRICS_TYPE, buf_slice(&body))
                    : answer_text(x, 500, "", "the metrics are too long");
    buf_fini(&body);
    return more;
}

/* How far consumers lag is counted by the store's reader: the answer waits for that, within
 * bounds. */
static bool page_metrics(const struct exchange *x)
{
    struct http_client *client = x->client;
    if (!consumers_count_lags(client->listener->daemon->consumers, &client->lags.wait))
        return write_metrics(x);
    client->lags.on = true;
    client->lags.head_only = x->request->method == HTTP_METHOD_HEAD;
    client->lags.keep_alive = x->request->keep_alive;
    client->lags.until_ms = io_now_ms(client->listener->daemon->loop) + HTTP_CLIENT_LAGS_MS;
    return true;
}

bool http_page_metrics(struct http_client *client)
{
    struct http_server_request request = {
        .method = client->lags.head_only ? HTTP_METHOD_HEAD : HTTP_METHOD_GET,
        .keep_alive = client->lags.keep_alive,
    };
    struct exchange x = {client, &request};
    client->lags.on = false;
    list_remove(&client->lags.wait.node);
    return write_metrics(&x);
}

static bool page_status(const struct exchange *x)
{
    struct slice none = slice_make(NULL, 0);
    struct buf body;
    buf_init(&body, HTTP_CLIENT_ANSWER_MAX - HTTP_SERVER_HEAD_MAX);
    bool more = status_write(x->client->listener, none, none, &body) == 0
                    ? answer_body(x, 200, "application/json", buf_slice(&body))
                    : answer_text(x, 500, "", "the status is too long");
    buf_fini(&body);
    return more;
}

/* The daemon alone: its loop turns, or nobody would answer. */
static bool page_healthz(const struct exchange *x)
{
    return answer_text(x, 200, "", "ok");
}

/* Why is for those who may read the status, too. */
static int write_unwell(const struct listener *listener, bool why, struct buf *body)
{
    const struct daemon *daemon = listener->daemon;
    const char *trouble = persist_trouble(daemon->persist);
    int rc = 0;
    if (trouble != NULL)
        rc = buf_appendf(body, "store: %s\n", why ? trouble : "failing");
    for (size_t i = 0; rc == 0 && i < daemon->n_upstreams; i++) {
        const struct upstream *upstream = daemon->upstreams[i];
        struct session_status status;
        if (!listener_sees(listener, upstream->store_id))
            continue;
        stream_session_status(upstream->stream, &status);
        if (!health_well(&upstream->health, status.state))
            rc = buf_appendf(body, "%s: %s%s%s\n", upstream->settings->name,
                             session_state_name(status.state), why ? ": " : "",
                             why ? upstream_trouble(upstream, &status) : "");
    }
    return rc;
}

static bool page_readyz(const struct exchange *x)
{
    struct listener *listener = x->client->listener;
    struct buf body;
    buf_init(&body, HTTP_CLIENT_ANSWER_MAX - HTTP_SERVER_HEAD_MAX);
    int rc = write_unwell(listener, !listener->tcp || listener->auth != NULL, &body);
    bool well = body.len == 0;
    if (rc == 0 && well)
        rc = buf_append_str(&body, "ok\n");
    bool more = rc == 0 && answer_body(x, well ? 200 : 503, text_type, buf_slice(&body));
    buf_fini(&body);
    return more;
}

static bool page_events(const struct exchange *x)
{
    struct error why = {0};
    int status = http_events_begin(x->client, x->request, &why);
    if (status != 0)
        return answer_text(x, status, "", why.text);
    if (x->request->method == HTTP_METHOD_HEAD)
        (void)http_page_write(&x->client->outlet.head, 200, "text/event-stream", "",
                              slice_make(NULL, 0), true, false);
    return false; /* its end is the connection's */
}

/* `open`: on TCP without a token too. */
static const struct page {
    const char *path;
    bool open;
    bool (*answer)(const struct exchange *x);
} pages[] = {{"/events", false, page_events},
             {"/metrics", true, page_metrics},
             {"/status", false, page_status},
             {"/healthz", true, page_healthz},
             {"/readyz", true, page_readyz}};

/* ---- who may ---- */

static bool is_let_in(const struct exchange *x, const struct page *page, bool *more)
{
    const struct listener *listener = x->client->listener;
    if (listener->auth != NULL) {
        switch (http_auth_check(listener->auth, x->request->authorization)) {
        case HTTP_AUTH_GOOD:
            return true;
        case HTTP_AUTH_BAD:
            *more = answer_text(x, 401, "WWW-Authenticate: Bearer realm=\"hawser\"\r\n",
                                "a token is wanted: Authorization: Bearer TOKEN");
            return false;
        case HTTP_AUTH_NO_TOKEN:
            *more = answer_text(x, 503, "",
                                "the token to compare with cannot be read; the log of "
                                "hawserd says why");
            return false;
        }
    }
    if (!listener->tcp)
        return true;
    if (!http_server_host_is_local(x->request->host)) {
        *more = answer_text(x, 421, "",
                            "ask for an address or localhost: a name may be one that a web page "
                            "has let point here");
        return false;
    }
    if (page != NULL && !page->open) {
        *more = answer_text(x, 403, "",
                            "on TCP this wants auth in its [listen] section; or ask on a Unix "
                            "socket");
        return false;
    }
    return true;
}

bool http_page_answer(struct http_client *client, const struct http_server_request *request)
{
    struct exchange x = {client, request};
    const struct page *page = NULL;
    bool more = false;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (slice_eq_str(request->path, pages[i].path))
            page = &pages[i];
    if (!is_let_in(&x, page, &more))
        return more;
    if (page == NULL)
        return answer_text(&x, 404, "",
                           "there are /events, /metrics, /status, /healthz and /readyz");
    if (request->method == HTTP_METHOD_OTHER)
        return answer_text(&x, 405, "Allow: GET, HEAD\r\n", "GET and HEAD are understood");
    return page->answer(&x);
}
