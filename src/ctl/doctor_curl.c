/* The handshake as a command to try by hand: the secrets are variables of the shell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor.h"
#include "reach/secrets.h"

/* With the variable's name and a '~' behind it this stands for a secret while the request is
 * rendered: nothing in it is encoded anywhere. */
#define MARK "hAwSeRsEcReT"
enum { VARIABLE_MAX = 64 };

struct marks {
    struct doctor *doctor;
    char text[DOCTOR_SECRETS][sizeof(MARK) + VARIABLE_MAX + 1];
};

/* "api_key" is $API_KEY. */
static void variable_name(const char *name, char out[VARIABLE_MAX])
{
    size_t n = 0;
    for (; name[n] != '\0' && n < VARIABLE_MAX - 1; n++) {
        bool letter = (name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z') ||
                      (name[n] >= '0' && name[n] <= '9');
        out[n] = !letter ? '_' : name[n] >= 'a' ? (char)(name[n] - 'a' + 'A') : name[n];
    }
    out[n] = '\0';
}

static struct slice look_up(void *arg, struct slice name)
{
    struct marks *marks = arg;
    const struct doctor_facts *facts = &marks->doctor->facts;
    static const struct slice secret = SLICE_INIT("secret.");
    if (!slice_starts_with(name, secret))
        return doctor_look_up(marks->doctor, name);
    for (unsigned i = 0; i < facts->n_secrets; i++)
        if (slice_eq_str(slice_from(name, secret.len), facts->secrets[i].name))
            return facts->secrets[i].source != NULL ? slice_str(marks->text[i])
                                                    : slice_make(NULL, 0);
    return slice_make(NULL, 0);
}

/* Within double quotes of a shell; a mark becomes its variable. */
static int append_quoted(const struct marks *marks, struct slice text, struct buf *out)
{
    int rc = 0;
    while (rc == 0 && text.len > 0) {
        unsigned i = 0;
        while (i < marks->doctor->facts.n_secrets &&
               !slice_starts_with(text, slice_str(marks->text[i])))
            i++;
        if (i < marks->doctor->facts.n_secrets) {
            size_t n = strlen(marks->text[i]);
            rc = buf_appendf(out, "${%.*s}", (int)(n - sizeof(MARK)),
                             marks->text[i] + sizeof(MARK) - 1);
            text = slice_from(text, n);
            continue;
        }
        if (strchr("\"\\$`", text.ptr[0]) != NULL)
            rc = buf_append_byte(out, '\\');
        if (rc == 0)
            rc = buf_append_byte(out, text.ptr[0]);
        text = slice_from(text, 1);
    }
    return rc;
}

static int append_option(const struct marks *marks, const char *option, struct slice value,
                         struct buf *out)
{
    int rc = buf_appendf(out, "    %s \"", option);
    if (rc == 0)
        rc = append_quoted(marks, value, out);
    return rc != 0 ? rc : buf_append_str(out, "\" \\\n");
}

static int append_headers(const struct marks *marks, struct slice lines, struct buf *out)
{
    const char *end;
    int rc = 0;
    while (rc == 0 && lines.len > 0 && (end = slice_find_byte(lines, '\r')) != NULL) {
        size_t n = (size_t)(end - lines.ptr);
        rc = append_option(marks, "-H", slice_make(lines.ptr, n), out);
        lines = slice_from(lines, n + 2);
    }
    return rc;
}

static int append_trust(const struct marks *marks, struct buf *out)
{
    const struct settings_stream *stream = marks->doctor->stream;
    const char *proxy = stream->proxy;
    int rc = 0;
    if (stream->tls_ca != NULL)
        rc = append_option(marks, "--cacert", slice_str(stream->tls_ca), out);
    if (rc == 0 && stream->tls_cert != NULL)
        rc = append_option(marks, "--cert", slice_str(stream->tls_cert), out);
    if (rc == 0 && stream->tls_key != NULL)
        rc = append_option(marks, "--key", slice_str(stream->tls_key), out);
    if (rc == 0 && proxy != NULL && strcmp(proxy, "none") == 0)
        rc = append_option(marks, "--noproxy", SLICE("*"), out);
    else if (rc == 0 && proxy != NULL)
        rc = append_option(marks, "--proxytunnel --proxy", slice_str(proxy), out);
    return rc;
}

/* TOKEN=$(cat PATH), for each that is configured. */
static int append_variables(const struct marks *marks, struct buf *out)
{
    const struct doctor_facts *facts = &marks->doctor->facts;
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < facts->n_secrets; i++) {
        const struct doctor_secret *secret = &facts->secrets[i];
        char name[VARIABLE_MAX], path[SECRET_PATH_SIZE];
        if (secret->source == NULL)
            continue;
        variable_name(secret->name, name);
        if (secret_path(secret->source, path))
            rc = buf_appendf(out, "%s=$(cat '%s')\n", name, path);
        else if (strncmp(secret->source, "env:", 4) == 0)
            rc = buf_appendf(out, "%s=$%s\n", name, secret->source + 4);
        else if (secret_is_exec(secret->source))
            rc = buf_appendf(out, "%s=$(%s)\n", name, secret->source + 5);
        else
            rc = buf_appendf(out, "%s=...   # %s\n", name, secret->source);
    }
    return rc;
}

static int append_curl(const struct marks *marks, const struct profile_request *request,
                       struct buf *out)
{
    struct slice url = buf_slice(&request->url);
    int rc = append_variables(marks, out);
    if (rc == 0)
        rc = buf_append_str(out, "curl --http1.1 -i -N --max-time 10 \\\n"
                                 "    -H \"Connection: Upgrade\" -H \"Upgrade: websocket\" \\\n"
                                 "    -H \"Sec-WebSocket-Version: 13\" "
                                 "-H \"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\" \\\n");
    if (rc == 0 && request->subprotocol.len > 0)
        rc = buf_append_str(out, "    -H \"Sec-WebSocket-Protocol: ");
    if (rc == 0 && request->subprotocol.len > 0)
        rc = append_quoted(marks, buf_slice(&request->subprotocol), out);
    if (rc == 0 && request->subprotocol.len > 0)
        rc = buf_append_str(out, "\" \\\n");
    if (rc == 0)
        rc = append_headers(marks, buf_slice(&request->headers), out);
    if (rc == 0)
        rc = append_trust(marks, out);
    /* curl knows ws:// only where it was built so; http:// is what goes over the wire. */
    if (rc == 0)
        rc = buf_appendf(out, "    \"http");
    if (rc == 0)
        rc = append_quoted(marks, slice_from(url, 2), out);
    return rc != 0 ? rc : buf_append_str(out, "\"\n");
}

static int append_openssl(const struct marks *marks, const struct profile_request *request,
                          struct buf *out)
{
    const struct settings_stream *stream = marks->doctor->stream;
    struct http_url url;
    int rc = http_url_parse(buf_slice(&request->url), &url, NULL);
    if (rc != 0 || !url.secure)
        return rc;
    rc = buf_appendf(out,
                     url.host_is_ipv6 ? "\n# TLS alone:\nopenssl s_client -connect [" SLICE_FMT
                                        "]:%u -verify_return_error"
                                      : "\n# TLS alone:\nopenssl s_client -connect " SLICE_FMT
                                        ":%u -verify_return_error",
                     SLICE_ARG(url.host), url.port);
    if (rc == 0 && !url.host_is_ipv6)
        rc = buf_appendf(out, " -verify_hostname " SLICE_FMT " -servername " SLICE_FMT,
                         SLICE_ARG(url.host), SLICE_ARG(url.host));
    if (rc == 0 && stream->tls_ca != NULL)
        rc = buf_appendf(out, " -CAfile '%s'", stream->tls_ca);
    return rc != 0 ? rc : buf_append_str(out, " </dev/null\n");
}

int doctor_curl(struct doctor *doctor)
{
    struct marks *marks = calloc(1, sizeof(*marks));
    struct profile_request request;
    struct error err = {0};
    struct buf out;
    if (marks == NULL)
        return CTL_NOT_WELL;
    marks->doctor = doctor;
    for (unsigned i = 0; i < doctor->facts.n_secrets; i++) {
        char name[VARIABLE_MAX];
        variable_name(doctor->facts.secrets[i].name, name);
        snprintf(marks->text[i], sizeof(marks->text[i]), "%s%s~", MARK, name);
    }
    buf_init(&out, BUF_UNBOUNDED);
    profile_request_init(&request);
    int rc = profile_render_connect(doctor->profile, look_up, marks, &request, &err);
    if (rc == 0)
        rc = append_curl(marks, &request, &out);
    if (rc == 0)
        rc = append_openssl(marks, &request, &out);
    if (rc == 0) {
        redact_text(&doctor->redact, (char *)buf_cstr(&out));
        fputs(out.data, stdout);
    } else {
        fprintf(stderr, "hawserctl: %s\n", err.code != 0 ? err.text : error_text(rc));
    }
    profile_request_fini(&request);
    buf_fini(&out);
    free(marks);
    return rc == 0 ? CTL_OK : CTL_NOT_WELL;
}
