/* Whom doctor visits: a stream of the configuration, or an address; and with which secrets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "ctl/doctor.h"
#include "reach/end.h"
#include "reach/options.h"

/* ---- the stream ---- */

static void print_diag(const struct diag *diag)
{
    const char *message;
    for (size_t i = 0; (message = diag_get(diag, i)) != NULL; i++)
        fprintf(stderr, "%s\n", message);
}

static int no_stream(const struct doctor *doctor)
{
    const struct settings *settings = doctor->configuration.settings;
    const char *names[LIMIT_STREAMS];
    for (size_t i = 0; i < settings->n_streams; i++)
        names[i] = settings->streams[i].name;
    const char *near = suggest(slice_str(doctor->options.target), names, settings->n_streams);
    fprintf(stderr,
            "hawserctl: no stream %.100s in %s%s%s%s; an address begins with ws:// or "
            "wss://\n",
            doctor->options.target, doctor->options.config, near != NULL ? "; did you mean " : "",
            near != NULL ? near : "", near != NULL ? "?" : "");
    return CTL_USAGE;
}

/* The profile that --profile names, in the place of the stream's own. */
static int load_profile(struct doctor *doctor, const char *const *dirs, const char *name)
{
    struct diag *diag = diag_new();
    int status = diag == NULL
                     ? ERR_NOMEM
                     : profile_load(dirs, name, doctor->stream, diag, &doctor->own_profile);
    if (status != 0 && diag != NULL)
        print_diag(diag);
    diag_free(diag);
    doctor->profile = doctor->own_profile;
    return status == 0 ? -1 : CTL_NOT_WELL;
}

static int open_stream(struct doctor *doctor)
{
    const struct configuration *configuration = &doctor->configuration;
    const struct settings *settings = configuration->settings;
    for (size_t i = 0; i < settings->n_streams; i++) {
        if (strcmp(settings->streams[i].name, doctor->options.target) != 0)
            continue;
        doctor->stream = &settings->streams[i];
        doctor->profile = configuration->profiles[i];
        if (doctor->options.profile != NULL)
            return load_profile(doctor, configuration->profile_dirs, doctor->options.profile);
        if (doctor->profile == NULL)
            print_diag(configuration->diag);
        return doctor->profile != NULL ? -1 : CTL_NOT_WELL;
    }
    if (diag_count(configuration->diag) > 0)
        print_diag(configuration->diag);
    return no_stream(doctor);
}

/* ---- an address ---- */

/* A [stream] of it, as one would write it. */
static int write_stream(const struct doctor *doctor, const struct http_url *url, struct buf *out)
{
    const struct doctor_options *options = &doctor->options;
    const char *profile = options->profile != NULL ? options->profile : "generic";
    int rc = buf_appendf(out, "[stream address]\nprofile = %s\n", profile);
    if (rc == 0 && strcmp(profile, "generic") == 0)
        rc = buf_appendf(out, "url = %s\n", options->target);
    else if (rc == 0)
        rc = buf_appendf(out,
                         url->host_is_ipv6 ? "connect.url = %s\nhost = [" SLICE_FMT "]:%u\n"
                                           : "connect.url = %s\nhost = " SLICE_FMT ":%u\n",
                         options->target, SLICE_ARG(url->host), url->port);
    for (unsigned i = 0; rc == 0 && i < options->n_extra; i++)
        rc = buf_appendf(out, "%s\n", options->extra[i]);
    return rc;
}

static int open_address(struct doctor *doctor)
{
    struct http_url url;
    struct error err = {0};
    struct buf text;
    struct diag *diag = diag_new();
    const char *const *dirs = doctor->configuration.profile_dirs;
    int result = CTL_NOT_WELL;
    if (http_url_parse(slice_str(doctor->options.target), &url, &err) != 0 || !url.websocket ||
        strpbrk(doctor->options.target, "\r\n") != NULL) {
        fprintf(stderr, "hawserctl: %s\n",
                err.code != 0 ? err.text : "the address must begin with ws:// or wss://");
        diag_free(diag);
        return CTL_USAGE;
    }
    buf_init(&text, LIMIT_INI_FILE);
    if (diag != NULL && write_stream(doctor, &url, &text) == 0 &&
        settings_read("(arguments)", buf_slice(&text), diag, &doctor->own_settings) == 0 &&
        diag_count(diag) == 0) {
        doctor->stream = &doctor->own_settings->streams[0];
        result = load_profile(doctor, dirs, doctor->stream->profile);
    } else if (diag != NULL) {
        print_diag(diag);
    }
    buf_fini(&text);
    diag_free(diag);
    return result;
}

static void on_changed(void *arg)
{
    (void)arg; /* a walk is over before that matters */
}

static void on_file_changed(void *arg, const char *path)
{
    (void)arg;
    (void)path;
}

int doctor_trust_anew(struct doctor *doctor, struct error *err)
{
    struct tls_context_options options = options_of_tls(doctor->stream);
    if (doctor->has_trust)
        trust_fini(&doctor->trust);
    doctor->has_trust = true;
    return trust_init(&doctor->trust, doctor->loop, &options, on_file_changed, doctor, err);
}

static int open_parts(struct doctor *doctor, struct error *err)
{
    int rc = proxy_init(&doctor->proxy, doctor->loop, doctor->stream, on_changed, doctor, err);
    doctor->has_proxy = true;
    if (rc == 0)
        rc = doctor_trust_anew(doctor, err);
    if (rc == 0 && (cookie_jar_new(&doctor->cookies) != 0 ||
                    profile_scanner_new(doctor->profile, &doctor->scanner) != 0))
        rc = error_set(err, ERR_NOMEM, "out of memory");
    return rc;
}

int doctor_target_open(struct doctor *doctor)
{
    struct error err = {0};
    bool address = strstr(doctor->options.target, "://") != NULL;
    redact_init(&doctor->redact);
    for (unsigned i = 0; i < DOCTOR_SECRETS; i++)
        buf_init(&doctor->values[i], LIMIT_SECRET);
    for (unsigned i = 0; i < PROFILE_VARIABLES_MAX; i++)
        buf_init(&doctor->variables[i], LIMIT_VARIABLE);
    /* Of an address only where profiles are found is asked of it. */
    if (configuration_load(doctor->options.config, &doctor->configuration) == ERR_NOMEM) {
        fprintf(stderr, "hawserctl: out of memory\n");
        return CTL_NOT_WELL;
    }
    doctor->state_dir = doctor->configuration.settings->daemon.state_dir;
    int result = address ? open_address(doctor) : open_stream(doctor);
    if (result >= 0)
        return result;
    if (open_parts(doctor, &err) != 0) {
        fprintf(stderr, "hawserctl: %s\n", err.text);
        return CTL_NOT_WELL;
    }
    doctor->facts.name = address ? "address" : doctor->stream->name;
    return -1;
}

void doctor_target_close(struct doctor *doctor)
{
    profile_scanner_free(doctor->scanner);
    cookie_jar_free(doctor->cookies);
    if (doctor->has_trust)
        trust_fini(&doctor->trust);
    if (doctor->has_proxy)
        proxy_fini(&doctor->proxy);
    outgoing_fini(&doctor->first);
    for (unsigned i = 0; i < DOCTOR_SECRETS; i++) {
        buf_wipe(&doctor->values[i]);
        buf_fini(&doctor->values[i]);
    }
    for (unsigned i = 0; i < PROFILE_VARIABLES_MAX; i++) {
        buf_wipe(&doctor->variables[i]);
        buf_fini(&doctor->variables[i]);
    }
    redact_fini(&doctor->redact);
    profile_free(doctor->own_profile);
    settings_free(doctor->own_settings);
    configuration_fini(&doctor->configuration);
}

/* ---- templates ---- */

static struct slice find_secret(const struct doctor *doctor, struct slice name)
{
    for (unsigned i = 0; i < doctor->facts.n_secrets; i++)
        if (slice_eq_str(name, doctor->facts.secrets[i].name))
            return doctor->facts.secrets[i].status == 0 ? buf_slice(&doctor->values[i])
                                                        : slice_make(NULL, 0);
    return slice_make(NULL, 0);
}

/* RFC 9562, version 4. */
static struct slice make_uuid(struct doctor *doctor)
{
    uint16_t r[8] = {0};
    (void)tls_random(r, sizeof(r));
    snprintf(doctor->scratch, sizeof(doctor->scratch), "%04x%04x-%04x-4%03x-%04x-%04x%04x%04x",
             r[0], r[1], r[2], r[3] & 0xFFF, (r[4] & 0x3FFF) | 0x8000, r[5], r[6], r[7]);
    return slice_str(doctor->scratch);
}

struct slice doctor_look_up(void *arg, struct slice name)
{
    struct doctor *doctor = arg;
    static const struct slice secret = SLICE_INIT("secret.");
    if (slice_starts_with(name, secret))
        return find_secret(doctor, slice_from(name, secret.len));
    if (slice_eq_str(name, "uuid"))
        return make_uuid(doctor);
    if (slice_eq_str(name, "n") || slice_eq_str(name, "now_ms")) {
        bool n = slice_eq_str(name, "n");
        snprintf(doctor->scratch, sizeof(doctor->scratch), "%lld",
                 n ? (long long)++doctor->n : (long long)(io_wall_us() / 1000));
        return slice_str(doctor->scratch);
    }
    for (unsigned i = 0; i < doctor->profile->n_variables; i++)
        if (slice_eq_str(name, doctor->profile->variables[i]) && doctor->variable_set[i])
            return doctor->variables[i].len > 0 ? buf_slice(&doctor->variables[i]) : SLICE("");
    return slice_make(NULL, 0);
}

void doctor_set(struct doctor *doctor, unsigned variable, struct slice value)
{
    struct buf *place = &doctor->variables[variable];
    buf_wipe(place);
    doctor->variable_set[variable] = value.ptr != NULL && buf_reserve(place, value.len) == 0 &&
                                     buf_append_slice(place, value) == 0;
}

/* What stands in the query of an address may be a secret, though nobody has called it one. */
static int learn_query(struct doctor *doctor, struct slice target)
{
    enum { LIKE_A_SECRET = 12 };
    const char *at = slice_find_byte(target, '?');
    struct slice rest = at != NULL ? slice_from(target, (size_t)(at - target.ptr) + 1) : SLICE("");
    while (rest.len > 0) {
        const char *end = slice_find_byte(rest, '&');
        struct slice item = slice_make(rest.ptr, end != NULL ? (size_t)(end - rest.ptr) : rest.len);
        const char *eq = slice_find_byte(item, '=');
        struct slice value = eq != NULL ? slice_from(item, (size_t)(eq - item.ptr) + 1) : item;
        if (value.len >= LIKE_A_SECRET && redact_learn(&doctor->redact, value) != 0)
            return ERR_NOMEM;
        rest = slice_from(rest, item.len + (end != NULL));
    }
    return 0;
}

int doctor_request(struct doctor *doctor, struct error *err)
{
    struct profile_request request;
    struct http_url url;
    struct doctor_facts *facts = &doctor->facts;
    char where[300];
    profile_request_init(&request);
    outgoing_fini(&doctor->first);
    doctor->n = 0;
    int rc = profile_render_connect(doctor->profile, doctor_look_up, doctor, &request, err);
    if (rc == 0)
        rc = outgoing_init(&doctor->first, &request);
    profile_request_fini(&request);
    if (rc == 0)
        rc = http_url_parse(buf_slice(&doctor->first.url), &url, err);
    if (rc == 0)
        rc = learn_query(doctor, url.target);
    if (rc == 0)
        rc = doctor_secrets_learn(doctor, err);
    if (rc != 0)
        return rc;
    outgoing_describe(&doctor->first, where, sizeof(where));
    redact_text(&doctor->redact, where);
    facts->secure = url.secure;
    facts->plaintext = doctor->stream->plaintext;
    snprintf(facts->url, sizeof(facts->url), "%s://%.280s", url.secure ? "wss" : "ws", where);
    return 0;
}

/* ---- connecting ---- */

static void note_proxy(struct doctor *doctor, const struct net_proxy *proxy, int status,
                       const struct error *err)
{
    struct doctor_proxy *out = &doctor->facts.proxy;
    *out = (struct doctor_proxy){.used = proxy != NULL,
                                 .exempt = doctor->proxy.exempt,
                                 .from = doctor->proxy.from,
                                 .status = status};
    if (status != 0)
        snprintf(out->error, sizeof(out->error), "%.380s", err->text);
    if (proxy == NULL)
        return;
    snprintf(out->host, sizeof(out->host), SLICE_FMT, SLICE_ARG(proxy->host));
    out->port = proxy->port;
    out->login = proxy->user.ptr != NULL;
}

int doctor_net_options(struct doctor *doctor, struct slice url, struct net_options *out,
                       struct error *err)
{
    struct doctor_facts *facts = &doctor->facts;
    *out = options_of(doctor->stream);
    int rc = proxy_choose(&doctor->proxy, url, &out->proxy, err);
    note_proxy(doctor, out->proxy, rc, err);
    if (rc == 0 && out->proxy != NULL)
        rc = redact_learn(&doctor->redact, out->proxy->password);
    if (rc != 0 || !options_need_tls(url))
        return rc;
    rc = trust_need(&doctor->trust, io_now_ms(doctor->loop), false, err);
    facts->trust_status = rc;
    if (rc != 0) {
        snprintf(facts->trust_error, sizeof(facts->trust_error), "%.380s", err->text);
        return rc;
    }
    out->tls = doctor->trust.tls;
    facts->own_expires_s = tls_context_expiry_s(out->tls);
    snprintf(facts->own, sizeof(facts->own), "%s", tls_context_expiring(out->tls));
    return 0;
}

void doctor_show(const struct doctor *doctor, char *out, size_t size, struct slice text)
{
    char line[1024]; /* cut only after the secrets are out */
    net_printable(line, sizeof(line), text);
    redact_text(&doctor->redact, line);
    snprintf(out, size, "%s", line);
}
