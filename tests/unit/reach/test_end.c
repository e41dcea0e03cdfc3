/* What the net says of an end, as it is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "reach/end.h"

/* What does not fit is cut at a character. */
static void test_text_is_cut_at_a_character(void **state)
{
    struct redact redact;
    (void)state;
    redact_init(&redact);
    for (size_t lead = 200; lead < 300; lead++) {
        struct net_end from = {.kind = NET_END_FAILED, .phase = NET_PHASE_TCP};
        struct profile_end to;
        memset(from.text, 'a', lead);
        strcat(from.text, "\xF0\x9F\x90\xA6\xC3\xA9\xE2\x82\xAC");
        end_from_net(&redact, &from, &to);
        assert_true(strlen(to.text) >= 200 && strlen(to.text) <= 250);
        assert_true(utf8_valid(to.text, strlen(to.text)));
    }
    redact_fini(&redact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text_is_cut_at_a_character)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
