/* A CA file is parsed once for all that name it, and anew when it is another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "tls/tls_anchors.h"

static struct cert first, second;

static int set_up(void **state)
{
    cert_make(&first, &(struct cert_spec){.name = "CN=First", .is_ca = true});
    cert_make(&second, &(struct cert_spec){.name = "CN=Second", .is_ca = true});
    (void)state;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cert_free(&first);
    cert_free(&second);
    return 0;
}

static char *write_anchor(const struct cert *cert)
{
    const struct cert *anchors[] = {cert};

    return write_ca_file(anchors, 1);
}

static struct tls_anchors *get(const char *path, bool lenient)
{
    struct tls_anchors *anchors;
    struct error err;

    assert_int_equal(tls_anchors_get(path, lenient, &anchors, &err), 0);
    return anchors;
}

static void assert_name(struct tls_anchors *anchors, const char *name)
{
    char text[100];

    mbedtls_x509_dn_gets(text, sizeof text, &tls_anchors_chain(anchors)->subject);
    assert_string_equal(text, name);
}

static void test_same_file_is_parsed_once(void **state)
{
    char *path = write_anchor(&first);
    struct tls_anchors *a = get(path, false), *b = get(path, false), *lenient = get(path, true);

    (void)state;
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, lenient);
    assert_string_equal(tls_anchors_path(a), path);
    tls_anchors_unref(a);
    assert_name(b, "CN=First");
    tls_anchors_unref(b);
    tls_anchors_unref(lenient);
    remove_ca_file(path);
}

/* What is in use stays as it is; who comes now gets what is there now. */
static void test_another_file_is_parsed_anew(void **state)
{
    char *path = write_anchor(&first), *next = write_anchor(&second);
    struct tls_anchors *a = get(path, false), *b, *c;

    (void)state;
    assert_int_equal(rename(next, path), 0);
    b = get(path, false);
    c = get(path, false);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(b, c);
    assert_name(a, "CN=First");
    assert_name(b, "CN=Second");
    tls_anchors_unref(a);
    tls_anchors_unref(b);
    tls_anchors_unref(c);
    free(next);
    remove_ca_file(path);
}

static void test_what_cannot_be_read_is_not_kept(void **state)
{
    char *path = write_anchor(&first);
    struct tls_anchors *anchors = NULL;
    struct error err;

    (void)state;
    assert_int_equal(truncate(path, 10), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tls_anchors_get(path, false, &anchors, &err), ERR_PARSE);
    remove_ca_file(path);
    assert_int_equal(tls_anchors_get("/nonexistent/ca.pem", false, &anchors, &err), ERR_NOTFOUND);
    assert_null(anchors);
    tls_anchors_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_file_is_parsed_once),
        cmocka_unit_test(test_another_file_is_parsed_anew),
        cmocka_unit_test(test_what_cannot_be_read_is_not_kept),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
