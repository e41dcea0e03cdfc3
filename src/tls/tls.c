/*
 * mbedTLS is given callbacks that read from the bytes fed and write to a buffer. Whatever it
 * returns becomes one of the five statuses in one place, conclude(), and a failure or the peer's
 * goodbye is remembered: after it the library is not asked again.
 */
#include "tls/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tls/tls_context.h"
#include "tls/tls_explain.h"

/* The content types that a server may begin with, RFC 5246 6.2.1. */
enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };

enum { RECORD_PAYLOAD_MAX = 16384 };

/* What tls_send leaves free: a read may have to answer with an alert. */
enum { ALERT_ROOM = 1024 };

struct tls {
    struct tls_context *context;
    mbedtls_ssl_context ssl;
    char *host;
    uint16_t port;
    unsigned char address[16]; /* where the host is an address literal */
    size_t address_len;        /* 0: it is a name */

    struct slice input;
    uint8_t head[3]; /* the peer's first record: its type and version */
    size_t head_len;
    struct buf output;

    bool established, resumed;
    size_t refusals;             /* bytes of them, see TLS_REFUSALS_MAX */
    struct tls_session *offered; /* to the server, to be resumed; NULL: none */
    enum tls_status ended;       /* TLS_SUCCESS until TLS_FAILED or TLS_CLOSED */
    struct tls_cert leaf;        /* of the server itself */
    struct tls_cert fault;       /* the certificate nearest to the root that is at fault */
    struct tls_cert soonest;     /* of the chain, what expires first */
    struct error error;
    enum tls_fault what; /* is wrong, where it failed */
    char description[96];
};

/* ---- what mbedTLS calls ---- */

static int on_send(void *arg, const unsigned char *bytes, size_t n)
{
    struct tls *tls = arg;
    size_t room = TLS_OUTPUT_MAX - tls->output.len;

    if (n > room)
        n = room;
    if (n == 0)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    return buf_append(&tls->output, bytes, n) == 0 ? (int)n : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

static int on_recv(void *arg, unsigned char *out, size_t n)
{
    struct tls *tls = arg;

    if (tls->input.len == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (n > tls->input.len)
        n = tls->input.len;
    memcpy(out, tls->input.ptr, n);
    tls->input = slice_from(tls->input, n);
    return (int)n;
}

/* RFC 6125, RFC 2818 3.1: an address must stand in the certificate as an iPAddress. */
static bool cert_has_address(const mbedtls_x509_crt *crt, const unsigned char *address, size_t n)
{
    const mbedtls_x509_sequence *san = &crt->subject_alt_names;

    for (; san != NULL; san = san->next) {
        if (san->buf.tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7) && san->buf.len == n &&
            memcmp(san->buf.p, address, n) == 0)
            return true;
    }
    return false;
}

/* A pin is of the server's own key, as in curl: a pin of an authority would let in whatever else
 * that signs. */
static bool cert_is_pinned(const mbedtls_x509_crt *crt, const struct tls_context *context)
{
    uint8_t hash[TLS_PIN_SIZE];

    tls_cert_key_hash(crt, hash);
    for (size_t i = 0; i < context->n_pins; i++) {
        if (memcmp(hash, context->pins[i], sizeof hash) == 0)
            return true;
    }
    return context->n_pins == 0;
}

static void show(const struct tls_context *context, const struct tls_cert *cert)
{
    const struct tls_certificate shown = {
        .depth = cert->depth,
        .subject = cert->subject,
        .issuer = cert->issuer,
        .names = cert->names,
        .pin = cert->pin,
        .valid_from_s = cert->valid_from_s,
        .valid_to_s = cert->valid_to_s,
        .fault = tls_cert_fault(cert, cert->flags),
    };

    if (context->on_certificate != NULL)
        context->on_certificate(context->on_certificate_arg, &shown);
}

/*
 * Called for each certificate of the chain, from the root down, with what is wrong with it. For an
 * address mbedTLS is told no host name (2.28 would take it for a DNS name and send it as SNI), and
 * so checks none: that is done here. The callback belongs to the configuration and finds its
 * connection in the context, since mbedTLS 3.5 forgets a connection's own callback in TLS 1.3.
 */
int tls_verify(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls *tls = ((struct tls_context *)arg)->verifying;
    struct tls_cert cert;

    if (tls == NULL) /* a handshake that we did not ask for */
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    if (depth == 0 && tls->address_len > 0 &&
        !cert_has_address(crt, tls->address, tls->address_len))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if (depth == 0 && !cert_is_pinned(crt, tls->context))
        *flags |= MBEDTLS_X509_BADCERT_OTHER;
    if (*flags != 0 && !tls->fault.seen)
        tls_cert_copy(&tls->fault, crt, depth, *flags);
    if (depth == 0)
        tls_cert_copy(&tls->leaf, crt, depth, *flags);
    tls_cert_copy(&cert, crt, depth, *flags);
    if (!tls->soonest.seen || cert.valid_to_s <= tls->soonest.valid_to_s)
        tls->soonest = cert;
    show(tls->context, &cert);
    return 0;
}

/* ---- setting up ---- */

static void parse_address(struct tls *tls, const char *host)
{
    if (inet_pton(AF_INET, host, tls->address) == 1)
        tls->address_len = 4;
    else if (inet_pton(AF_INET6, host, tls->address) == 1)
        tls->address_len = 16;
}

/* A session that the library does not take is no loss: the handshake is a full one. */
static void offer_session(struct tls *tls)
{
    tls->offered = tls_sessions_take(&tls->context->sessions, tls->host, tls->port, time(NULL));
    if (tls->offered != NULL && mbedtls_ssl_set_session(&tls->ssl, &tls->offered->session) != 0) {
        tls_session_free(tls->offered);
        tls->offered = NULL;
    }
}

static int set_up(struct tls *tls, const char *host)
{
    size_t len = strlen(host);
    int rc;

    /* The dot of a fully qualified name is not part of it in SNI (RFC 6066 3) or certificates. */
    tls->host = strndup(host, len > 1 && host[len - 1] == '.' ? len - 1 : len);
    if (tls->host == NULL)
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    parse_address(tls, tls->host);
    rc = mbedtls_ssl_setup(&tls->ssl, &tls->context->config);
    if (rc == 0)
        rc = mbedtls_ssl_set_hostname(&tls->ssl, tls->address_len > 0 ? NULL : tls->host);
    mbedtls_ssl_set_bio(&tls->ssl, tls, on_send, on_recv, NULL);
    if (rc == 0)
        offer_session(tls);
    return rc;
}

int tls_new(struct tls_context *context, const char *host, uint16_t port, struct tls **out,
            struct error *err)
{
    struct tls *tls;
    int rc;

    if (host[0] == '\0')
        return error_set(err, ERR_INVAL, "TLS: no host to verify the server against");
    tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return error_set(err, ERR_NOMEM, "TLS: %s", error_text(ERR_NOMEM));
    tls->context = tls_context_ref(context);
    tls->port = port;
    mbedtls_ssl_init(&tls->ssl);
    buf_init(&tls->output, TLS_OUTPUT_MAX);
    rc = set_up(tls, host);
    if (rc != 0) {
        tls_free(tls);
        if (rc == MBEDTLS_ERR_SSL_ALLOC_FAILED)
            return error_set(err, ERR_NOMEM, "TLS: %s", error_text(ERR_NOMEM));
        error_set(err, ERR_INVAL, "TLS: \"%.100s\" cannot be a host name", host);
        return ERR_INVAL;
    }
    *out = tls;
    return 0;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    tls_session_free(tls->offered);
    mbedtls_ssl_free(&tls->ssl);
    buf_fini(&tls->output);
    tls_context_unref(tls->context);
    free(tls->host);
    free(tls);
}

void tls_feed(struct tls *tls, const void *bytes, size_t n)
{
    assert(tls->input.len == 0 || tls->ended != TLS_SUCCESS);
    tls->input = slice_make(bytes, n);
}

size_t tls_input_left(const struct tls *tls)
{
    return tls->input.len;
}

struct buf *tls_output(struct tls *tls)
{
    return &tls->output;
}

/* ---- the verbs ---- */

/* For a client certificate. mbedTLS 3 does not tell, but there TLS 1.3 has an alert for it. */
static bool was_asked(const struct tls *tls)
{
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    return tls->ssl.client_auth != 0;
#else
    return false;
#endif
}

static void explain(struct tls *tls, int rc)
{
    const struct tls_context *context = tls->context;
    uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    const unsigned char *message = tls->ssl.MBEDTLS_PRIVATE(in_msg);
    const struct tls_circumstances at = {
        .min_version = context->min_version,
        .asked = was_asked(tls),
        .own = context->own.seen ? context->own.subject : NULL,
        .record_minor = tls->head[2],
    };

    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && tls->fault.seen)
        tls->what = tls_explain_cert(&tls->error, &tls->fault, tls->fault.flags, tls->host,
                                     tls_anchors_path(context->anchors), time(NULL));
    else if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
             (flags != 0 && flags != UINT32_MAX && !tls->established))
        tls->what = tls_explain_cert(&tls->error, &tls->leaf, flags, tls->host,
                                     tls_anchors_path(context->anchors), time(NULL));
    else
        tls->what = tls_explain_code(&tls->error, rc, message != NULL ? message[1] : 0, &at);
}

/* A session whose connection failed is not resumed: RFC 5246 7.2.2. */
static void forget_session(struct tls *tls)
{
    tls_session_free(tls_sessions_take(&tls->context->sessions, tls->host, tls->port, time(NULL)));
}

static enum tls_status conclude(struct tls *tls, int rc)
{
    switch (rc) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return TLS_AGAIN_INPUT;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return TLS_AGAIN_OUTPUT;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case 0: /* of a read: the end */
        tls->ended = TLS_CLOSED;
        error_set(&tls->error, ERR_EOF, "the server closed the TLS connection");
        return TLS_CLOSED;
    default: /* a foreign code */
        tls->ended = TLS_FAILED;
        explain(tls, rc);
        forget_session(tls);
        return TLS_FAILED;
    }
}

/* Of a peer that speaks something else mbedTLS would say "invalid record" and no more. */
static bool check_head(struct tls *tls)
{
    for (size_t i = 0; i < tls->input.len && tls->head_len < sizeof tls->head; i++)
        tls->head[tls->head_len++] = (uint8_t)tls->input.ptr[i];
    if (tls->head_len == 0 || tls->head[0] == RECORD_HANDSHAKE || tls->head[0] == RECORD_ALERT)
        return true;
    tls->ended = TLS_FAILED;
    tls->what = tls_explain_plaintext(&tls->error, tls->input);
    return false;
}

/* For the next connection to this server, which has been verified just now, or when the session
 * that it resumed was made. */
static void keep_session(struct tls *tls)
{
    struct tls_session *session = tls_session_new(&tls->ssl, tls->host, tls->port);

    if (session == NULL)
        return;
    session->verified_s = tls->resumed ? tls->offered->verified_s : time(NULL);
    session->leaf = tls->leaf;
    session->soonest = tls->soonest;
    tls_sessions_put(&tls->context->sessions, session);
}

/* In TLS 1.3 what can be resumed comes later, with a ticket: see tls_receive(). */
static bool has_session(const struct tls *tls)
{
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    return mbedtls_ssl_get_version_number(&tls->ssl) == MBEDTLS_SSL_VERSION_TLS1_2;
#else
    return true;
#endif
}

/*
 * Full verification is the point of this room: never take a handshake's word for it. Either
 * tls_verify() has seen the server's certificate and found nothing, or no certificate was shown,
 * which the library lets pass (we have it require one) only where the server proved to know the
 * secret of the session that we offered; then what was found when that was made still holds.
 */
static bool is_verified(struct tls *tls)
{
    if (tls->fault.seen)
        return false;
    if (tls->leaf.seen)
        return mbedtls_ssl_get_verify_result(&tls->ssl) == 0;
    if (tls->offered == NULL)
        return false;
    tls->resumed = true;
    tls->leaf = tls->offered->leaf;
    tls->soonest = tls->offered->soonest;
    return true;
}

enum tls_status tls_handshake(struct tls *tls)
{
    int rc;

    if (tls->ended != TLS_SUCCESS)
        return tls->ended;
    if (tls->established)
        return TLS_SUCCESS;
    if (!check_head(tls))
        return TLS_FAILED;
    tls->context->verifying = tls;
    rc = mbedtls_ssl_handshake(&tls->ssl);
    tls->context->verifying = NULL;
    if (rc != 0)
        return conclude(tls, rc);
    if (!is_verified(tls))
        return conclude(tls, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    tls->established = true;
    snprintf(tls->description, sizeof tls->description, "%s %s%s",
             mbedtls_ssl_get_version(&tls->ssl), mbedtls_ssl_get_ciphersuite(&tls->ssl),
             tls->resumed ? ", resumed" : "");
    if (has_session(tls))
        keep_session(tls);
    return TLS_SUCCESS;
}

/* Room for a whole record and some alerts: so mbedTLS never holds a record half sent, and takes the
 * next call for the rest of it. */
static bool has_room(struct tls *tls, size_t payload)
{
    int expansion = mbedtls_ssl_get_record_expansion(&tls->ssl);
    size_t room = TLS_OUTPUT_MAX - tls->output.len;

    return expansion >= 0 && room >= payload + (size_t)expansion + ALERT_ROOM;
}

enum tls_status tls_send(struct tls *tls, const void *bytes, size_t n, size_t *sent)
{
    const unsigned char *at = bytes;

    *sent = 0;
    if (tls->ended != TLS_SUCCESS)
        return tls->ended;
    assert(tls->established);
    while (*sent < n) {
        size_t part = n - *sent < RECORD_PAYLOAD_MAX ? n - *sent : RECORD_PAYLOAD_MAX;
        int rc;

        if (!has_room(tls, part))
            return TLS_AGAIN_OUTPUT;
        rc = mbedtls_ssl_write(&tls->ssl, at + *sent, part);
        if (rc <= 0)
            return conclude(tls, rc);
        *sent += (size_t)rc;
    }
    return TLS_SUCCESS;
}

static bool refused_too_often(struct tls *tls)
{
    if (tls->refusals <= TLS_REFUSALS_MAX)
        return false;
    tls->ended = TLS_FAILED;
    tls->what = TLS_FAULT_OTHER;
    error_set(&tls->error, ERR_TLS, "the server asks for a new handshake too often");
    return true;
}

enum tls_status tls_receive(struct tls *tls, void *bytes, size_t n, size_t *received)
{
    unsigned char *at = bytes;

    *received = 0;
    if (tls->ended != TLS_SUCCESS)
        return tls->ended;
    assert(tls->established);
    /* Short records are common; several fill one call. */
    while (*received < n) {
        size_t before = tls->input.len, written = tls->output.len;
        int rc = mbedtls_ssl_read(&tls->ssl, at + *received, n - *received);
        enum tls_status status;

        /* What a read writes is a refusal, but for the alert that goes with a failure. */
        tls->refusals += tls->output.len - written;
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
        if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            keep_session(tls);
            continue;
        }
#endif
        if (rc > 0) {
            *received += (size_t)rc;
            continue;
        }
        if (refused_too_often(tls))
            return *received > 0 ? TLS_SUCCESS : TLS_FAILED;
        /* It has dealt with a message of its own, and there is more; or with records without a
         * byte, which are no end (on_recv() never says that TCP is at its). */
        if ((rc == MBEDTLS_ERR_SSL_WANT_READ && tls->input.len != 0 && tls->input.len < before) ||
            (rc == 0 && tls->input.len < before))
            continue;
        if (rc == MBEDTLS_ERR_SSL_WANT_WRITE) /* see has_room() */
            rc = MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
        status = conclude(tls, rc);
        return *received > 0 ? TLS_SUCCESS : status; /* an end is remembered for the next call */
    }
    return TLS_SUCCESS;
}

enum tls_status tls_shutdown(struct tls *tls)
{
    int rc;

    if (tls->ended == TLS_FAILED || !tls->established)
        return tls->ended;
    rc = mbedtls_ssl_close_notify(&tls->ssl);
    return rc == 0 ? TLS_SUCCESS : conclude(tls, rc);
}

const struct error *tls_error(const struct tls *tls)
{
    return &tls->error;
}

enum tls_fault tls_fault(const struct tls *tls)
{
    return tls->what;
}

const char *tls_alpn(const struct tls *tls)
{
    const char *protocol = mbedtls_ssl_get_alpn_protocol(&tls->ssl);

    return protocol != NULL ? protocol : "";
}

const char *tls_describe(const struct tls *tls)
{
    return tls->description;
}

bool tls_resumed(const struct tls *tls)
{
    return tls->resumed;
}

int64_t tls_peer_expiry_s(const struct tls *tls)
{
    return tls->established ? tls->soonest.valid_to_s : 0;
}

const char *tls_peer_expiring(const struct tls *tls)
{
    return tls->established ? tls->soonest.who : "";
}
