/* upstream_private: what the files of upstream share. Nobody else includes it. */
#ifndef HAWSER_DAEMON_UPSTREAM_PRIVATE_H
#define HAWSER_DAEMON_UPSTREAM_PRIVATE_H

#include "daemon/upstream.h"
#include "reach/end.h"

static inline const struct redact *upstream_redact(const struct upstream *upstream)
{
    return vault_redact(&upstream->vault);
}

void upstream_make_id(char id[9]);
/* For requests to url: with trust anchors where it wants TLS. anew: as trust_need(). */
int upstream_options(struct upstream *upstream, struct slice url, bool anew,
                     struct net_options *out, struct error *err);
/* An end that is a failure of ours. */
void upstream_failure(const struct upstream *upstream, enum profile_failure failure,
                      const char *text, struct profile_end *end);

/* What of its proxy has kept a dial or request from going out at all; `otherwise`: nothing has. */
enum profile_failure upstream_cause(const struct upstream *upstream,
                                    enum profile_failure otherwise);

/* Says in *end why a redirect was not followed, and where it would have led. */
void upstream_not_followed(const struct upstream *upstream, const struct http_response *response,
                           const struct error *err, struct profile_end *end);

/* links.c: what the engine asks for, and what is owed after it. */
void links_dial(void *arg, uint64_t number, const struct profile_request *request);
int links_send(void *arg, uint64_t number, struct slice text);
void links_close(void *arg, uint64_t number, int code, const char *reason);
void links_abort(void *arg, uint64_t number);
void links_ping(void *arg, uint64_t number);
void links_resume(void *arg, uint64_t number);
int64_t links_last_rx_ms(void *arg, uint64_t number);
void links_later(struct upstream *upstream);
void links_free(struct upstream *upstream);

/* requests.c */
int requests_new(struct upstream *upstream);
void requests_start(void *arg, uint64_t number, unsigned http, const struct profile_request *form,
                    int64_t timeout_ms);
void requests_stream(void *arg, uint64_t number, const struct profile_request *form,
                     int64_t timeout_ms, int64_t idle_ms);
void requests_resume(void *arg, uint64_t number);
void requests_cancel(void *arg, uint64_t number);
void requests_later(struct upstream *upstream);
void requests_cut(struct upstream *upstream); /* nothing more is heard of any */
void requests_free(struct upstream *upstream);

#endif
