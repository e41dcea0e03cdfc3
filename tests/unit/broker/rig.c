#include "unit/broker/rig.h"

static struct rig *the_rig; /* for the clients' callbacks, which know their client only */

static void on_granted(void *arg)
{
    struct rig_client *client = arg;
    client->granted++;
    the_rig->order[the_rig->n_granted++ % (RIG_CLIENTS * 4)] =
        (unsigned)(client - the_rig->clients);
}

static void on_later(void *arg, int64_t at_ms, const char *why)
{
    struct rig_client *client = arg;
    client->laters++;
    client->later_ms = at_ms;
    snprintf(client->why, sizeof(client->why), "%s", why);
    assert_true(strlen(why) < BROKER_TEXT);
}

static void on_save(void *arg, struct slice key, struct slice value, uint64_t ticket)
{
    struct rig *rig = arg;
    unsigned i = 0;
    while (i < rig->n_saves && !slice_eq_str(key, rig->saves[i].key))
        i++;
    if (i == rig->n_saves) {
        assert_true(rig->n_saves++ < RIG_KEYS);
        snprintf(rig->saves[i].key, sizeof(rig->saves[i].key), SLICE_FMT, SLICE_ARG(key));
    }
    assert_true(value.len <= BROKER_SAVED_MAX);
    assert_true(ticket > rig->ticket);
    memcpy(rig->saves[i].flying, value.ptr, value.len);
    rig->saves[i].flying_size = value.len;
    rig->ticket = ticket;
    rig->saved++;
}

static void on_deadline(void *arg, int64_t deadline_ms)
{
    ((struct rig *)arg)->deadline_ms = deadline_ms;
}

static const struct broker_ops ops = {
    .granted = on_granted, .later = on_later, .save = on_save, .deadline = on_deadline};

void rig_open(struct rig *rig, const struct rig_options *options)
{
    struct broker_options given = {.dial_rate = options->dial_rate,
                                   .dial_per_host =
                                       options->dial_per_host > 0 ? options->dial_per_host : 1000,
                                   .seed = options->seed,
                                   .ops = &ops,
                                   .arg = rig};
    rig->n = rig->n_granted = 0;
    rig->ticket = 0;
    rig->deadline_ms = INT64_MAX;
    memset(rig->clients, 0, sizeof(rig->clients));
    the_rig = rig;
    assert_int_equal(broker_new(&given, &rig->broker), 0);
}

struct rig_client *rig_add(struct rig *rig, const struct profile *profile, const char *host,
                           const char *credential)
{
    struct rig_client *client = &rig->clients[rig->n];
    char name[16];
    assert_true(rig->n < RIG_CLIENTS);
    if (rig->n < 26)
        snprintf(name, sizeof(name), "%c", 'a' + (char)rig->n);
    else
        snprintf(name, sizeof(name), "s%u", rig->n);
    rig->n++;
    struct broker_client_options options = {
        .name = name, .host = host, .credential = credential, .profile = profile, .arg = client};
    assert_int_equal(broker_client_new(rig->broker, &options, &client->broker), 0);
    return client;
}

void rig_close(struct rig *rig)
{
    broker_free(rig->broker);
    rig->broker = NULL;
}

void rig_ask(struct rig *rig, unsigned client)
{
    broker_ask(rig->clients[client].broker, BROKER_LINK, false, rig->now_ms);
}

void rig_run(struct rig *rig)
{
    broker_run(rig->broker, rig->now_ms);
    assert_int_equal(rig->deadline_ms, broker_deadline_ms(rig->broker));
    assert_true(rig->deadline_ms > rig->now_ms);
}

void rig_flush(struct rig *rig)
{
    for (unsigned i = 0; i < rig->n_saves; i++) {
        struct rig_save *save = &rig->saves[i];
        if (save->flying_size == 0)
            continue;
        memcpy(save->disk, save->flying, save->flying_size);
        save->disk_size = save->flying_size;
        save->disk_ms = rig->now_ms;
        save->flying_size = 0;
    }
    broker_saved(rig->broker, rig->ticket, rig->now_ms);
}

void rig_settle(struct rig *rig)
{
    unsigned before;
    do {
        before = rig->n_granted;
        rig_run(rig);
        rig_flush(rig);
        rig_run(rig);
    } while (rig->n_granted != before);
}

void rig_at(struct rig *rig, int64_t now_ms)
{
    rig->now_ms = now_ms;
    rig_settle(rig);
}

void rig_restore(struct rig *rig)
{
    for (unsigned i = 0; i < rig->n_saves; i++) {
        struct rig_save *save = &rig->saves[i];
        save->flying_size = 0; /* what had not landed is gone */
        if (save->disk_size > 0)
            broker_restore(rig->broker, slice_str(save->key),
                           slice_make((char *)save->disk, save->disk_size),
                           rig->now_ms - save->disk_ms);
    }
}
