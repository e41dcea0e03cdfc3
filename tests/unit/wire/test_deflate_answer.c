/* What a server may answer to the offer of permessage-deflate, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/deflate.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define P "permessage-deflate"

/* From memory of just its size, so that ASan sees over-reads. */
static int answer(const char *text, struct deflate_terms *terms, struct error *err)
{
    size_t n = strlen(text);
    char *copy = malloc(n > 0 ? n : 1);
    int rc;

    assert_non_null(copy);
    memcpy(copy, text, n);
    rc = deflate_answer_read(slice_make(copy, n), terms, err);
    free(copy);
    return rc;
}

static void test_legal(void **state)
{
    static const struct {
        const char *answer;
        struct deflate_terms terms;
    } rows[] = {
        {"", {false, false, false, 15, 15}},
        {" \t", {false, false, false, 15, 15}},
        {" , ,", {false, false, false, 15, 15}},
        {P, {true, false, false, 15, 15}},
        {"Permessage-Deflate", {true, false, false, 15, 15}},
        {", " P " ,", {true, false, false, 15, 15}},
        {P "; server_no_context_takeover", {true, true, false, 15, 15}},
        {P "; client_no_context_takeover", {true, false, true, 15, 15}},
        {P ";Server_No_Context_Takeover;client_no_context_takeover", {true, true, true, 15, 15}},
        {P "; server_max_window_bits=8", {true, false, false, 8, 15}},
        {P "; server_max_window_bits=9", {true, false, false, 9, 15}},
        {P "; server_max_window_bits=15", {true, false, false, 15, 15}},
        {P "; client_max_window_bits=8", {true, false, false, 15, 8}},
        {P "; client_max_window_bits=15", {true, false, false, 15, 15}},
        {P "; client_max_window_bits = 10 ; server_max_window_bits\t=\t11",
         {true, false, false, 11, 10}},
        {P "; server_max_window_bits=\"12\"", {true, false, false, 12, 15}}, /* RFC 6455 9.1 */
        {P "; client_max_window_bits=\"9\"; server_no_context_takeover",
         {true, true, false, 15, 9}},
        {P "; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=14; "
           "server_no_context_takeover",
         {true, true, true, 10, 14}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct deflate_terms *want = &rows[i].terms;
        struct deflate_terms got;
        struct error err = {0};

        if (answer(rows[i].answer, &got, &err) != 0)
            fail_msg("%s: %s", rows[i].answer, err.text);
        if (got.agreed != want->agreed ||
            got.server_no_context_takeover != want->server_no_context_takeover ||
            got.client_no_context_takeover != want->client_no_context_takeover ||
            got.server_bits != want->server_bits || got.client_bits != want->client_bits)
            fail_msg("%s: %d %d %d %u %u", rows[i].answer, got.agreed,
                     got.server_no_context_takeover, got.client_no_context_takeover,
                     got.server_bits, got.client_bits);
    }
}

static void test_illegal(void **state)
{
    static const char *const rows[][2] = {
        {"x-webkit-deflate-frame", "an extension that was not asked for: x-webkit-deflate-frame"},
        {P ", bbf-usp-protocol", "not asked for: bbf-usp-protocol"},
        {"foo, " P, "not asked for: foo"},
        {P ", " P, "an extension twice"},
        {P "; server_no_context_takeover, " P, "an extension twice"},
        {P "; foo", "a parameter that there is not: foo"},
        {P "; foo=1", "a parameter that there is not: foo"},
        {P "; mux=\"a b\"", "cannot be read at"},
        {P "; server_no_context_takeover; server_no_context_takeover",
         "a parameter twice: server_no_context_takeover"},
        {P "; client_no_context_takeover; client_no_context_takeover", "twice"},
        {P "; server_max_window_bits=10; server_max_window_bits=10", "twice"},
        {P "; client_max_window_bits=10; Client_Max_Window_Bits=10", "twice"},
        {P "; server_no_context_takeover=1", "takes none: server_no_context_takeover"},
        {P "; client_no_context_takeover=true", "takes none: client_no_context_takeover"},
        {P "; server_max_window_bits", "needs one: server_max_window_bits"},
        {P "; client_max_window_bits", "needs one: client_max_window_bits"},
        {P "; server_max_window_bits=7", "server_max_window_bits=7, where 8 to 15 is legal"},
        {P "; server_max_window_bits=16", "where 8 to 15"},
        {P "; server_max_window_bits=0", "where 8 to 15"},
        {P "; server_max_window_bits=08", "where 8 to 15"},
        {P "; server_max_window_bits=010", "where 8 to 15"},
        {P "; server_max_window_bits=-8", "where 8 to 15"},
        {P "; server_max_window_bits=+8", "where 8 to 15"},
        {P "; server_max_window_bits=1e1", "where 8 to 15"},
        {P "; server_max_window_bits=99999999999999999999999", "where 8 to 15"},
        {P "; client_max_window_bits=7", "client_max_window_bits=7"},
        {P "; client_max_window_bits=16", "client_max_window_bits=16"},
        {P "; client_max_window_bits=\"16\"", "client_max_window_bits=16"},
        {P "; server_max_window_bits=", "cannot be read at: "},
        {P "; server_max_window_bits=\"\"", "cannot be read at: "},
        {P "; server_max_window_bits=\"10", "cannot be read at: "},
        {P "; server_max_window_bits=10\"", "cannot be read at: \""},
        {P "; server_max_window_bits=\"1\\0\"", "cannot be read at: "},
        {P "; server_max_window_bits=10 11", "cannot be read at: 11"},
        {P "; ", "cannot be read at: "},
        {P ";; server_no_context_takeover", "cannot be read at: ;"},
        {P "; =10", "cannot be read at: "},
        {P " server_no_context_takeover", "cannot be read at: server_no_context_takeover"},
        {P "=1", "cannot be read at: =1"},
        {"; server_no_context_takeover", "cannot be read at: ;"},
        {"\"" P "\"", "cannot be read at: "},
        {"\x01", "cannot be read"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct deflate_terms terms;
        struct error err = {0};
        int rc = answer(rows[i][0], &terms, &err);

        if (rc != ERR_PROTOCOL || err.code != rc || strstr(err.text, rows[i][1]) == NULL)
            fail_msg("%s: %d %s", rows[i][0], rc, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legal),
        cmocka_unit_test(test_illegal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
