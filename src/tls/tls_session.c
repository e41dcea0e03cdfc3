#include "tls/tls_session.h"

#include <stdlib.h>

#include "tls/tls_context.h"

static bool can_be_resumed(const mbedtls_ssl_session *session)
{
#if defined(MBEDTLS_SSL_SESSION_TICKETS) && defined(MBEDTLS_SSL_CLI_C)
    size_t ticket = session->MBEDTLS_PRIVATE(ticket_len);

    if (ticket != 0)
        return ticket <= TLS_TICKET_MAX;
#endif
    return session->MBEDTLS_PRIVATE(id_len) != 0;
}

struct tls_session *tls_session_new(const mbedtls_ssl_context *ssl, const char *host, uint16_t port)
{
    struct tls_session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return NULL;
    mbedtls_ssl_session_init(&session->session);
    session->port = port;
    session->host = strdup(host);
    if (session->host != NULL && mbedtls_ssl_get_session(ssl, &session->session) == 0 &&
        can_be_resumed(&session->session))
        return session;
    tls_session_free(session);
    return NULL;
}

void tls_session_free(struct tls_session *session)
{
    if (session == NULL)
        return;
    mbedtls_ssl_session_free(&session->session); /* wipes it */
    free(session->host);
    free(session);
}

static struct tls_session *remove_at(struct tls_sessions *sessions, unsigned i)
{
    struct tls_session *session = sessions->kept[i];

    sessions->n--;
    memmove(sessions->kept + i, sessions->kept + i + 1,
            (sessions->n - i) * sizeof sessions->kept[0]);
    return session;
}

/* A resumed handshake shows no certificate, so the dates are looked at here. */
static bool is_good(const struct tls_session *session, int64_t now_s)
{
    return now_s >= session->verified_s && now_s - session->verified_s < TLS_SESSION_AGE_S &&
           now_s < session->soonest.valid_to_s;
}

static struct tls_session *find(struct tls_sessions *sessions, const char *host, uint16_t port)
{
    for (unsigned i = 0; i < sessions->n; i++) {
        if (sessions->kept[i]->port == port && strcmp(sessions->kept[i]->host, host) == 0)
            return remove_at(sessions, i);
    }
    return NULL;
}

struct tls_session *tls_sessions_take(struct tls_sessions *sessions, const char *host,
                                      uint16_t port, int64_t now_s)
{
    struct tls_session *session = find(sessions, host, port);

    if (session == NULL || is_good(session, now_s))
        return session;
    tls_session_free(session);
    return NULL;
}

void tls_sessions_put(struct tls_sessions *sessions, struct tls_session *session)
{
    tls_session_free(find(sessions, session->host, session->port));
    if (sessions->n == TLS_SESSIONS_MAX)
        tls_session_free(remove_at(sessions, TLS_SESSIONS_MAX - 1));
    memmove(sessions->kept + 1, sessions->kept, sessions->n * sizeof sessions->kept[0]);
    sessions->kept[0] = session;
    sessions->n++;
}

void tls_sessions_fini(struct tls_sessions *sessions)
{
    while (sessions->n > 0)
        tls_session_free(remove_at(sessions, sessions->n - 1));
}
