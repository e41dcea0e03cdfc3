#include "tls/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tls/tls_explain.h"

/* ---- reading ---- */

/* open(2) and fstat(2) of what must be a file; -1 with the error. */
static int open_file(const char *what, const char *path, size_t max, struct stat *st,
                     struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) {
        error_set(err, error_from_errno(errno), "%s %s: %s%s", what, path, strerror(errno),
                  strcmp(path, TLS_SYSTEM_CA_FILE) == 0 ? " (the package ca-certificates has it)"
                                                        : "");
        return -1;
    }
    if (fstat(fd, st) != 0)
        error_set(err, error_from_errno(errno), "%s %s: %s", what, path, strerror(errno));
    else if (!S_ISREG(st->st_mode))
        error_set(err, ERR_PARSE, "%s %s: not a regular file", what, path);
    else if ((uintmax_t)st->st_size > max)
        error_set(err, ERR_PARSE, "%s %s: larger than %zu KiB", what, path, max / 1024);
    else
        return fd;
    close(fd);
    return -1;
}

static int read_all(int fd, struct buf *out, size_t max)
{
    while (out->len < max) {
        ssize_t n = read(fd, out->data + out->len, max - out->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        out->len += (size_t)n;
    }
    return 0;
}

/* The file with a NUL behind it, which mbedTLS wants of PEM. In one piece: growing would leave
 * copies of keys. out is to be wiped either way. */
static int read_file(const char *what, const char *path, size_t max, bool secret, struct buf *out,
                     struct error *err)
{
    struct stat st;
    int rc = 0, fd = open_file(what, path, max, &st, err);

    if (fd < 0)
        return err->code;
    if (secret && (st.st_mode & S_IROTH) != 0)
        rc = error_set(err, ERR_PERM, "%s %s can be read by others; chmod 600 it", what, path);
    else if (buf_reserve(out, (size_t)st.st_size + 1) != 0)
        rc = error_set(err, ERR_NOMEM, "%s %s: %s", what, path, error_text(ERR_NOMEM));
    else if (read_all(fd, out, (size_t)st.st_size) != 0)
        rc = error_set(err, error_from_errno(errno), "%s %s: %s", what, path, strerror(errno));
    close(fd);
    return rc != 0 ? rc : buf_append_byte(out, '\0');
}

/* mbedTLS counts the NUL for PEM, and takes it for a part of DER. */
static size_t parse_len(const struct buf *file)
{
    return strstr(file->data, "-----BEGIN ") != NULL ? file->len : file->len - 1;
}

static void drop(struct buf *file)
{
    buf_wipe(file);
    buf_fini(file);
}

/* ---- certificates ---- */

static bool is_nomem(int rc)
{
    return rc == MBEDTLS_ERR_X509_ALLOC_FAILED || rc == MBEDTLS_ERR_PK_ALLOC_FAILED ||
           rc == MBEDTLS_ERR_PEM_ALLOC_FAILED || rc == MBEDTLS_ERR_ASN1_ALLOC_FAILED;
}

static int load_certificates(mbedtls_x509_crt *out, const char *what, const char *path, size_t max,
                             bool lenient, struct error *err)
{
    char text[160];
    struct buf file;
    int rc;

    buf_init(&file, max + 1);
    rc = read_file(what, path, max, false, &file, err);
    if (rc == 0) {
        int parsed =
            mbedtls_x509_crt_parse(out, (const unsigned char *)file.data, parse_len(&file));

        if (is_nomem(parsed)) {
            rc = error_set(err, ERR_NOMEM, "%s %s: %s", what, path, error_text(ERR_NOMEM));
        } else if (parsed < 0) {
            mbedtls_strerror(parsed, text, sizeof text);
            rc = error_set(err, ERR_PARSE, "%s %s: no certificate in PEM or DER form: %s", what,
                           path, text);
        } else if (parsed > 0 && !lenient) {
            rc = error_set(err, ERR_PARSE, "%s %s: %d of its certificates cannot be read", what,
                           path, parsed);
        }
    }
    drop(&file);
    return rc;
}

int tls_load_anchors(mbedtls_x509_crt *out, const char *path, bool lenient, struct error *err)
{
    return load_certificates(out, "CA file", path, TLS_CA_FILE_MAX, lenient, err);
}

/* ---- the key ---- */

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
static int on_random(void *arg, unsigned char *out, size_t n)
{
    return tls_random(out, n) == 0 ? 0 : MBEDTLS_ERR_PK_BAD_INPUT_DATA;
}
#define RANDOM , on_random, NULL
#else
#define RANDOM
#endif

static int parse_key(mbedtls_pk_context *key, const struct buf *file)
{
    return mbedtls_pk_parse_key(key, (const unsigned char *)file->data, parse_len(file), NULL,
                                0 RANDOM);
}

static int check_pair(const mbedtls_pk_context *of_certificate, const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(of_certificate, key RANDOM);
}

static int explain_key(const char *path, const struct buf *file, int rc, struct error *err)
{
    char text[160];

    if (is_nomem(rc))
        return error_set(err, ERR_NOMEM, "key file %s: %s", path, error_text(ERR_NOMEM));
    if (rc == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || strstr(file->data, "ENCRYPTED") != NULL)
        return error_set(err, ERR_TLS,
                         "key file %s is encrypted, and nobody is there to type its password; make "
                         "a plain one with openssl pkey -in %s -out NEW and chmod 600 it",
                         path, path);
    mbedtls_strerror(rc, text, sizeof text);
    return error_set(err, ERR_PARSE, "key file %s: no private key in PEM or DER form: %s", path,
                     text);
}

static int load_key(mbedtls_pk_context *key, const char *path, struct error *err)
{
    struct buf file;
    int rc;

    buf_init(&file, TLS_CERT_FILE_MAX + 1);
    rc = read_file("key file", path, TLS_CERT_FILE_MAX, true, &file, err);
    if (rc == 0) {
        int parsed = parse_key(key, &file);

        if (parsed != 0)
            rc = explain_key(path, &file, parsed, err);
    }
    drop(&file);
    return rc;
}

int tls_load_own(struct tls_context *context, const char *cert_path, const char *key_path,
                 struct error *err)
{
    mbedtls_x509_crt *certificate = &context->certificate;
    int rc = load_certificates(certificate, "certificate file", cert_path, TLS_CERT_FILE_MAX, false,
                               err);

    if (key_path == NULL)
        key_path = cert_path;
    if (rc == 0)
        rc = load_key(&context->key, key_path, err);
    if (rc != 0)
        return rc;
    tls_cert_copy(&context->own, certificate, 0, 0);
    if (check_pair(&certificate->pk, &context->key) != 0)
        return error_set(err, ERR_TLS,
                         "key file %s is not the key of the certificate of %s in %s (its first one "
                         "must be the client's own)",
                         key_path, context->own.subject, cert_path);
    return tls_explain_own(err, &context->own, cert_path, time(NULL));
}
