#include "tls/tls_explain.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <mbedtls/error.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <time.h>

#include "base/base64.h"
#include "base/timefmt.h"

enum { S_PER_DAY = 86400 };

/* Appends as much as fits; a certificate's bytes are anyone's, so only printable ASCII passes. */
static void append(char *out, size_t size, const char *text, size_t n)
{
    size_t len = strlen(out);

    for (size_t i = 0; i < n && len + 1 < size; i++)
        out[len++] = text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?';
    out[len] = '\0';
}

static void append_str(char *out, size_t size, const char *text)
{
    append(out, size, text, strlen(text));
}

/* ---- what a certificate says ---- */

static void copy_dn(char *out, size_t size, const mbedtls_x509_name *name)
{
    char text[1024];
    int n = mbedtls_x509_dn_gets(text, sizeof text, name);

    out[0] = '\0';
    if (n < 0)
        append_str(out, size, "(a name too long to show)");
    else if (n == 0)
        append_str(out, size, "(no name)");
    else
        append_str(out, size, text);
    if (n > 0 && (size_t)n >= size)
        memcpy(out + size - 4, "...", 4);
}

static int64_t unix_time(const mbedtls_x509_time *t)
{
    struct tm tm = {
        .tm_year = t->year - 1900,
        .tm_mon = t->mon - 1,
        .tm_mday = t->day,
        .tm_hour = t->hour,
        .tm_min = t->min,
        .tm_sec = t->sec,
    };

    return timegm(&tm);
}

static void append_san(char *out, size_t size, const mbedtls_x509_buf *san)
{
    char address[INET6_ADDRSTRLEN] = "?";

    switch (san->tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
    case 2: /* dNSName */
        append(out, size, (const char *)san->p, san->len);
        break;
    case 7: /* iPAddress */
        if (san->len == 4 || san->len == 16)
            inet_ntop(san->len == 4 ? AF_INET : AF_INET6, san->p, address, sizeof address);
        append_str(out, size, address);
        break;
    default: /* RFC 5280 has nine kinds; the others name no server */
        append_str(out, size, "(other)");
        break;
    }
}

static void copy_names(char *out, size_t size, const mbedtls_x509_crt *crt)
{
    const mbedtls_x509_sequence *san = &crt->subject_alt_names;

    out[0] = '\0';
    for (; san != NULL && san->buf.p != NULL; san = san->next) {
        if (out[0] != '\0')
            append_str(out, size, ", ");
        if (strlen(out) + 64 > size) {
            append_str(out, size, "...");
            return;
        }
        append_san(out, size, &san->buf);
    }
}

void tls_cert_key_hash(const mbedtls_x509_crt *crt, uint8_t out[TLS_PIN_SIZE])
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_sha256(crt->pk_raw.p, crt->pk_raw.len, out, 0);
#else
    mbedtls_sha256_ret(crt->pk_raw.p, crt->pk_raw.len, out, 0);
#endif
}

static void copy_pin(char *out, size_t size, const mbedtls_x509_crt *crt)
{
    uint8_t hash[TLS_PIN_SIZE];
    struct buf text;

    tls_cert_key_hash(crt, hash);
    buf_init(&text, BUF_UNBOUNDED);
    if (base64_encode(&text, hash, sizeof hash) == 0)
        snprintf(out, size, "sha256/%.*s", (int)text.len, text.data);
    buf_fini(&text);
}

void tls_cert_copy(struct tls_cert *out, const mbedtls_x509_crt *crt, int depth, uint32_t flags)
{
    *out = (struct tls_cert){.seen = true, .depth = depth, .flags = flags};
    out->self_issued = crt->subject_raw.len == crt->issuer_raw.len &&
                       memcmp(crt->subject_raw.p, crt->issuer_raw.p, crt->subject_raw.len) == 0;
    copy_dn(out->subject, sizeof out->subject, &crt->subject);
    copy_dn(out->issuer, sizeof out->issuer, &crt->issuer);
    copy_names(out->names, sizeof out->names, crt);
    if (out->names[0] == '\0')
        append_str(out->names, sizeof out->names, out->subject);
    snprintf(out->who, sizeof out->who, "%s, issued by %s", out->subject, out->issuer);
    copy_pin(out->pin, sizeof out->pin, crt);
    out->valid_from_s = unix_time(&crt->valid_from);
    out->valid_to_s = unix_time(&crt->valid_to);
}

/* ---- texts ---- */

/* "2026-05-14" */
static const char *format_day(int64_t unix_s, char out[32])
{
    time_format_us(unix_s * 1000000, out);
    out[10] = '\0';
    return out;
}

/* "3 days", "1 day", "5h12m" */
static const char *format_age(int64_t seconds, char out[DURATION_TEXT_SIZE])
{
    int64_t days = seconds / S_PER_DAY;

    if (days > 0)
        snprintf(out, DURATION_TEXT_SIZE, "%" PRId64 " day%s", days, days == 1 ? "" : "s");
    else
        duration_format(seconds * 1000, out, DURATION_TEXT_SIZE);
    return out;
}

const char *tls_fault_name(enum tls_fault fault)
{
    static const char *const names[] = {
#define X(id, text) text,
        TLS_FAULTS(X)
#undef X
    };

    return names[fault];
}

static enum tls_fault distrust(const struct tls_cert *cert)
{
    if (!cert->self_issued)
        return TLS_FAULT_UNKNOWN_ISSUER;
    return cert->depth == 0 ? TLS_FAULT_SELF_SIGNED : TLS_FAULT_UNKNOWN_ROOT;
}

enum tls_fault tls_cert_fault(const struct tls_cert *cert, uint32_t flags)
{
    if (flags == 0)
        return TLS_FAULT_NONE;
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED)
        return TLS_FAULT_EXPIRED;
    if (flags & MBEDTLS_X509_BADCERT_FUTURE)
        return TLS_FAULT_NOT_YET_VALID;
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return distrust(cert);
    if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        return TLS_FAULT_WRONG_HOST;
    if (flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
                 MBEDTLS_X509_BADCERT_NS_CERT_TYPE | MBEDTLS_X509_BADCERT_BAD_MD |
                 MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY))
        return TLS_FAULT_UNFIT;
    if (flags & MBEDTLS_X509_BADCERT_OTHER) /* ours alone, see tls_verify() */
        return TLS_FAULT_PIN;
    return TLS_FAULT_OTHER;
}

static void explain_unfit(char *out, size_t size, uint32_t flags)
{
    if (flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
                 MBEDTLS_X509_BADCERT_NS_CERT_TYPE))
        snprintf(out, size, "is not meant for a server (key usage)");
    else if (flags & MBEDTLS_X509_BADCERT_BAD_MD)
        snprintf(out, size, "is signed with a hash too weak to trust");
    else
        snprintf(out, size, "has a key too weak to trust");
}

static void explain_fault(char *out, size_t size, const struct tls_cert *cert, uint32_t flags,
                          const char *host, const char *ca_file, int64_t now_s)
{
    char day[32], age[DURATION_TEXT_SIZE];

    switch (tls_cert_fault(cert, flags)) {
    case TLS_FAULT_EXPIRED:
        snprintf(out, size, "expired %s ago (%s)", format_age(now_s - cert->valid_to_s, age),
                 format_day(cert->valid_to_s, day));
        return;
    case TLS_FAULT_NOT_YET_VALID:
        snprintf(out, size, "is not valid before %s (in %s; is this machine's clock right?)",
                 format_day(cert->valid_from_s, day), format_age(cert->valid_from_s - now_s, age));
        return;
    case TLS_FAULT_SELF_SIGNED:
        snprintf(out, size, "is self-signed and not in %s", ca_file);
        return;
    case TLS_FAULT_UNKNOWN_ROOT:
        snprintf(out, size, "ends the server's chain and is not in %s", ca_file);
        return;
    case TLS_FAULT_UNKNOWN_ISSUER:
        snprintf(out, size,
                 "has an issuer that is neither in %s nor sent by the server (a missing "
                 "intermediate certificate, or an unknown authority)",
                 ca_file);
        return;
    case TLS_FAULT_WRONG_HOST:
        snprintf(out, size, "is not for %.100s but for %s", host, cert->names);
        return;
    case TLS_FAULT_UNFIT:
        explain_unfit(out, size, flags);
        return;
    case TLS_FAULT_PIN:
        snprintf(out, size, "is in order, but has a key that tls_pin does not name, %s", cert->pin);
        return;
    case TLS_FAULT_NONE: /* the rest is never about a certificate of the server's */
    case TLS_FAULT_OWN_CERTIFICATE:
    case TLS_FAULT_VERSION:
    case TLS_FAULT_NOTHING_IN_COMMON:
    case TLS_FAULT_HOST_NOT_SERVED:
    case TLS_FAULT_NOT_TLS:
    case TLS_FAULT_OTHER:
        break;
    }
    snprintf(out, size, "is not acceptable (flags 0x%" PRIx32 ")", flags);
}

enum tls_fault tls_explain_cert(struct error *err, const struct tls_cert *cert, uint32_t flags,
                                const char *host, const char *ca_file, int64_t now_s)
{
    char why[320], from[32], to[32];

    if (!cert->seen) {
        error_set(err, ERR_TLS, "the server sent no certificate");
        return TLS_FAULT_OTHER;
    }
    explain_fault(why, sizeof why, cert, flags, host, ca_file, now_s);
    error_set(err, ERR_TLS, "certificate of %s %s, issued by %s, valid %s to %s", cert->subject,
              why, cert->issuer, format_day(cert->valid_from_s, from),
              format_day(cert->valid_to_s, to));
    return tls_cert_fault(cert, flags);
}

int tls_explain_own(struct error *err, const struct tls_cert *cert, const char *path, int64_t now_s)
{
    char age[DURATION_TEXT_SIZE], from[32], to[32];

    if (now_s < cert->valid_to_s)
        return 0;
    format_day(cert->valid_from_s, from);
    format_day(cert->valid_to_s, to);
    return error_set(err, ERR_TLS,
                     "the client certificate of %s in %s expired %s ago (%s), issued by %s, valid "
                     "%s to %s: renew it",
                     cert->subject, path, format_age(now_s - cert->valid_to_s, age), to,
                     cert->issuer, from, to);
}

static const char *version_name(enum tls_version version)
{
    switch (version) {
    case TLS_VERSION_1_2:
        return "TLS 1.2";
    case TLS_VERSION_1_3:
        return "TLS 1.3";
    }
    return "";
}

/* An alert about certificates: ours is missing, or not good enough. */
static bool is_about_our_certificate(int alert)
{
    enum { CERTIFICATE_REQUIRED = 116 }; /* RFC 8446 6.2 */

    return alert == MBEDTLS_SSL_ALERT_MSG_NO_CERT || alert == MBEDTLS_SSL_ALERT_MSG_BAD_CERT ||
           alert == MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT ||
           alert == MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED ||
           alert == MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED ||
           alert == MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN ||
           alert == MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA ||
           alert == MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED || alert == CERTIFICATE_REQUIRED;
}

/* RFC 5246 7.2.2, RFC 6066 9, RFC 7301 3.2 */
static enum tls_fault alert_meaning(char *out, size_t size, int alert,
                                    const struct tls_circumstances *at)
{
    const char *version = version_name(at->min_version);
    bool refused = alert == MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE;

    /* TLS 1.2 has no alert for a certificate that was asked for and did not come. */
    if ((is_about_our_certificate(alert) || (refused && at->asked)) && at->own == NULL) {
        snprintf(out, size, "it wants a client certificate: tls_cert and tls_key");
        return TLS_FAULT_OWN_CERTIFICATE;
    }
    if (is_about_our_certificate(alert)) {
        snprintf(out, size, "it does not take our client certificate of %s", at->own);
        return TLS_FAULT_OWN_CERTIFICATE;
    }
    if (alert == MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION) {
        snprintf(out, size, "protocol_version: it does not speak %s", version);
        return TLS_FAULT_VERSION;
    }
    if (refused && at->record_minor == 2) {
        snprintf(out, size, "handshake_failure, in TLS 1.1: it does not speak %s", version);
        return TLS_FAULT_VERSION;
    }
    if (refused) {
        snprintf(out, size, "handshake_failure: no version, cipher or key exchange in common");
        return TLS_FAULT_NOTHING_IN_COMMON;
    }
    if (alert == MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY) {
        snprintf(out, size, "insufficient_security: it wants stronger ciphers");
        return TLS_FAULT_NOTHING_IN_COMMON;
    }
    if (alert == MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME) {
        snprintf(out, size, "unrecognized_name: it does not serve this host");
        return TLS_FAULT_HOST_NOT_SERVED;
    }
    if (alert == MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL)
        snprintf(out, size, "no_application_protocol: it does not speak http/1.1");
    else if (alert == MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR)
        snprintf(out, size, "internal_error: a fault on its side");
    else
        snprintf(out, size, "see RFC 5246, section 7.2");
    return TLS_FAULT_OTHER;
}

enum tls_fault tls_explain_code(struct error *err, int rc, int alert,
                                const struct tls_circumstances *at)
{
    char text[200];

    if (rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        enum tls_fault fault = alert_meaning(text, sizeof text, alert, at);

        error_set(err, ERR_TLS, "the server refused with TLS alert %d (%s)", alert, text);
        return fault;
    }
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    if (rc == MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION) {
#else
    if (rc == MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION) {
#endif
        error_set(err, ERR_TLS, "the server speaks only versions older than %s",
                  version_name(at->min_version));
        return TLS_FAULT_VERSION;
    }
    mbedtls_strerror(rc, text, sizeof text);
    error_set(err, ERR_TLS, "%s (mbedTLS -0x%04x)", text, (unsigned)-rc);
    return TLS_FAULT_OTHER;
}

enum tls_fault tls_explain_plaintext(struct error *err, struct slice first)
{
    char text[48] = "";
    size_t n = 0;

    while (n < first.len && n < sizeof text - 1 && first.ptr[n] != '\r' && first.ptr[n] != '\n')
        n++;
    append(text, sizeof text, first.ptr, n);
    error_set(err, ERR_TLS, "the server does not speak TLS on this port: it answered \"%s\"", text);
    return TLS_FAULT_NOT_TLS;
}
