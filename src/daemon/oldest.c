#include "daemon/oldest.h"

#include <string.h>

/* On the reader's thread. */
static void on_event(void *arg, const struct store_event *event)
{
    struct oldest *oldest = arg;
    if (oldest->visiting_us == 0)
        oldest->visiting_us = event->received_us;
}

static void on_done(void *arg, const struct persist_page *page, const struct error *err)
{
    struct oldest *oldest = arg;
    (void)page;
    oldest->reading = false;
    if (err == NULL && oldest->visiting_us != 0) {
        oldest->received_us = oldest->visiting_us;
        oldest->seq = oldest->read.to_seq;
    }
}

void oldest_init(struct oldest *oldest, struct persist *persist)
{
    *oldest = (struct oldest){.persist = persist};
    memset(oldest->all.streams, 0xFF, sizeof(oldest->all.streams));
}

void oldest_look(struct oldest *oldest)
{
    const struct store_info *info = persist_info(oldest->persist);
    if (oldest->reading || info->oldest_seq == oldest->seq || info->oldest_seq > info->newest_seq)
        return;
    oldest->read = (struct persist_read){.filter = &oldest->all,
                                         .after_seq = info->oldest_seq - 1,
                                         .to_seq = info->oldest_seq,
                                         .forgive = true,
                                         .visit = on_event,
                                         .on_done = on_done,
                                         .arg = oldest};
    oldest->visiting_us = 0;
    oldest->reading = true;
    persist_read_start(oldest->persist, &oldest->read);
}

void oldest_fini(struct oldest *oldest)
{
    if (oldest->reading)
        persist_read_cancel(oldest->persist, &oldest->read);
    oldest->reading = false;
}

int64_t oldest_received_us(const struct oldest *oldest)
{
    const struct store_info *info = persist_info(oldest->persist);
    return info->oldest_seq > info->newest_seq ? 0 : oldest->received_us;
}
