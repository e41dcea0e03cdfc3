/* hawserctl doctor: options, and the walk. */
#include "ctl/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"

/* ---- options ---- */

static bool parse_count(const char *text, unsigned *out)
{
    uint64_t value;
    if (slice_parse_u64(slice_str(text), &value) != 0 || value < 2 || value > DOCTOR_DIALS_MAX)
        return false;
    *out = (unsigned)value;
    return true;
}

/* -1, or an exit status. */
static int parse_target(struct ctl *ctl, struct doctor_options *options)
{
    options->target = ctl->args[0];
    if (ctl->n_args > 1 && strstr(options->target, "://") == NULL)
        return ctl_usage(ctl, "KEY=VALUE arguments are for an address; a stream has its own keys");
    for (int i = 1; i < ctl->n_args; i++) {
        if (options->n_extra == DOCTOR_EXTRA || strchr(ctl->args[i], '=') == NULL ||
            strpbrk(ctl->args[i], "\r\n") != NULL)
            return ctl_usage(ctl, "after an address come KEY=VALUE, as in [stream]; at most 32");
        options->extra[options->n_extra++] = ctl->args[i];
    }
    return -1;
}

static int parse_arguments(struct ctl *ctl, struct doctor_options *options)
{
    const char *config = ctl_option(ctl, "config"), *listen = ctl_option(ctl, "listen"),
               *dials = ctl_option(ctl, "dials");
    options->profile = ctl_option(ctl, "profile");
    if (config != NULL)
        options->config = config;
    options->bundle = ctl_option(ctl, "bundle");
    options->curl = ctl_option(ctl, "curl") != NULL;
    if (listen != NULL && (duration_parse(slice_str(listen), &options->listen_ms) != 0 ||
                           options->listen_ms > DOCTOR_LISTEN_MAX_MS))
        return ctl_usage(ctl, "--listen takes a duration of at most 24h, such as 60s, or 0");
    if (dials != NULL && !parse_count(dials, &options->dials))
        return ctl_usage(ctl, "--dials takes a number from 2 to 20");
    return parse_target(ctl, options);
}

/* ---- the walk ---- */

static void stay(struct doctor_link *link)
{
    doctor_ping(link, DOCTOR_PINGS);
    doctor_listen(link);
}

/* What lies below the link; true: a link can be tried. */
static bool walk_way(struct doctor *doctor)
{
    struct doctor_facts *facts = &doctor->facts;
    struct doctor_report *report = &doctor->report;
    struct net_options options;
    struct error err = {0};
    (void)doctor_net_options(doctor, buf_slice(&doctor->first.url), &options, &err);
    if (facts->proxy.status != 0)
        return false;
    doctor_look_up_name(doctor);
    if (facts->lookup.status == 0)
        doctor_try_addresses(doctor);
    *report = (struct doctor_report){.stopped = NULL};
    return doctor_judge_way(facts, report);
}

/* Without the credential, or with what cannot be dialled with, it leads nowhere either. */
static bool may_try_fallback(const struct doctor_facts *facts)
{
    for (unsigned i = 0; i < facts->n_secrets; i++)
        if (facts->secrets[i].source != NULL && facts->secrets[i].status != 0)
            return false;
    return !facts->no_link && facts->proxy.status == 0 && facts->trust_status == 0;
}

static void walk(struct doctor *doctor)
{
    struct doctor_facts *facts = &doctor->facts;
    bool reached = false;
    doctor_ask_daemon(doctor);
    facts->no_link = facts->daemon.link && doctor->profile->limits.links == 1;
    facts->no_dials =
        facts->daemon.link && doctor->profile->connect.parallel == 1 && doctor->options.dials > 0;
    if (walk_way(doctor) && !facts->no_link) {
        doctor_dial(doctor, stay);
        /* What has kept the link from getting as far as the upgrade would keep a request from it
         * too. */
        reached =
            facts->dial.opened || (facts->dial.ended && facts->dial.end_phase == NET_PHASE_UPGRADE);
        if (reached)
            doctor_sync(doctor);
    }
    if (may_try_fallback(facts))
        doctor_fallback(doctor, reached);
    if (doctor->options.dials > 0 && facts->dial.opened && !facts->no_dials)
        doctor_dials(doctor);
    facts->now_s = io_wall_us() / 1000000;
    doctor_judge(facts, doctor->profile, &doctor->report);
}

static int show(struct doctor *doctor)
{
    struct error err = {0};
    struct buf out;
    buf_init(&out, BUF_UNBOUNDED);
    if (doctor->ctl->json)
        (void)doctor_json(doctor, &out);
    else
        doctor_print(doctor, &out, doctor->ctl->terminal.colour);
    fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
    if (doctor->options.bundle != NULL && doctor_bundle(doctor, &err) != 0) {
        fprintf(stderr, "hawserctl: %s\n", err.text);
        return CTL_NOT_WELL;
    }
    return doctor->report.ill ? CTL_NOT_WELL : CTL_OK;
}

static int visit(struct doctor *doctor)
{
    struct error err = {0};
    int result = doctor_target_open(doctor);
    if (result >= 0)
        return result;
    doctor->facts.now_s = io_wall_us() / 1000000;
    int rc = doctor_secrets_read(doctor, &err);
    if (rc == 0)
        rc = doctor_request(doctor, &err);
    if (rc != 0) {
        fprintf(stderr, "hawserctl: %s: %s\n", doctor->options.target, err.text);
        return CTL_NOT_WELL;
    }
    if (doctor->options.curl)
        return doctor_curl(doctor);
    walk(doctor);
    return show(doctor);
}

int ctl_doctor(struct ctl *ctl)
{
    struct error err = {0};
    struct doctor *doctor = calloc(1, sizeof(*doctor));
    int result;
    if (doctor == NULL || io_loop_new(&doctor->loop, &err) != 0) {
        fprintf(stderr, "hawserctl: %s\n", doctor == NULL ? "out of memory" : err.text);
        free(doctor);
        return CTL_NOT_WELL;
    }
    doctor->ctl = ctl;
    doctor->options =
        (struct doctor_options){.config = CONFIGURATION_DEFAULT, .listen_ms = DOCTOR_LISTEN_MS};
    result = parse_arguments(ctl, &doctor->options);
    if (result < 0) {
        result = visit(doctor);
        doctor_target_close(doctor);
    }
    buf_fini(&doctor->facts.dial.headers);
    buf_fini(&doctor->facts.dial.request);
    buf_fini(&doctor->facts.daemon.status);
    io_loop_free(doctor->loop);
    free(doctor);
    return result;
}
