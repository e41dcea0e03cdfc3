#include "daemon/metrics_page.h"

#include <string.h>

/* Bytes of a line beside its name and its first labels, at most: the last label is one of ours or a
 * consumer's name. */
enum { LINE_REST = 256 };

#define TYPE_COUNTER "counter"
#define TYPE_GAUGE "gauge"
#define TYPE_HISTOGRAM "histogram"

static const struct metric_info families[METRIC_COUNT] = {
#define X(id, name_, type_, labels_, help_)                                                        \
    {.name = name_, .type = TYPE_##type_, .labels = labels_, .help = help_},
    METRICS(X)
#undef X
};

void metrics_describe(void (*visit)(void *arg, const struct metric_info *info), void *arg)
{
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        visit(arg, &families[i]);
}

void metrics_page_init(struct metrics_page *page, struct buf *out)
{
    *page = (struct metrics_page){.out = out};
}

/* ---- text: each returns where it ends ---- */

static char *put(char *at, const char *text, size_t n)
{
    memcpy(at, text, n);
    return at + n;
}

static char *put_str(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

static char *put_digits(char *at, uint64_t value)
{
    char digits[20];
    char *first = digits + sizeof(digits);
    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return put(at, first, (size_t)(digits + sizeof(digits) - first));
}

static char *put_number(char *at, int64_t value)
{
    if (value >= 0)
        return put_digits(at, (uint64_t)value);
    *at++ = '-';
    return put_digits(at, 0 - (uint64_t)value);
}

/* "0.0025": without zeros at its end. */
static char *put_fraction(char *at, int64_t value, int64_t scale)
{
    if (value < 0)
        value = 0;
    at = put_digits(at, (uint64_t)(value / scale));
    value %= scale;
    if (value != 0)
        *at++ = '.';
    for (scale /= 10; value != 0; scale /= 10) {
        *at++ = (char)('0' + value / scale);
        value %= scale;
    }
    return at;
}

/* ---- lines ---- */

void metrics_family(struct metrics_page *page, enum metric metric)
{
    const struct metric_info *info = &families[metric];
    if (page->rc == 0)
        page->rc = buf_appendf(page->out, "# HELP %s %s\n# TYPE %s %s\n", info->name, info->help,
                               info->name, info->type);
    page->name = info->name;
    page->name_len = strlen(info->name);
    page->bounds = NULL;
}

/* The line up to its value, with room for that; NULL: there is none. */
static char *begin_line(struct metrics_page *page, const char *suffix, struct slice labels,
                        const char *label, const char *word)
{
    if (page->rc == 0)
        page->rc = buf_reserve(page->out, page->name_len + labels.len + LINE_REST);
    if (page->rc != 0)
        return NULL;
    char *at = put(page->out->data + page->out->len, page->name, page->name_len);
    at = put_str(at, suffix);
    if (labels.len > 0 || label != NULL) {
        *at++ = '{';
        at = put(at, labels.ptr, labels.len);
        if (labels.len > 0 && label != NULL)
            *at++ = ',';
        if (label != NULL) {
            at = put_str(at, label);
            at = put(at, "=\"", 2);
            at = put_str(at, word);
            *at++ = '"';
        }
        *at++ = '}';
    }
    *at++ = ' ';
    return at;
}

static void end_line(struct metrics_page *page, char *at)
{
    *at++ = '\n';
    page->out->len = (size_t)(at - page->out->data);
}

void metrics_value(struct metrics_page *page, struct slice labels, const char *label,
                   const char *word, int64_t value)
{
    char *at = begin_line(page, "", labels, label, word);
    if (at != NULL)
        end_line(page, put_number(at, value));
}

void metrics_fraction(struct metrics_page *page, struct slice labels, int64_t value, int64_t scale)
{
    char *at = begin_line(page, "", labels, NULL, NULL);
    if (at != NULL)
        end_line(page, put_fraction(at, value, scale));
}

/* The same for all histograms of a family. */
static void format_bounds(struct metrics_page *page, const struct histogram *histogram,
                          int64_t scale)
{
    if (page->bounds == histogram->bounds)
        return;
    page->bounds = histogram->bounds;
    for (unsigned i = 0; i < histogram->n; i++)
        *put_fraction(page->le[i], histogram->bounds[i], scale) = '\0';
}

static void sample(struct metrics_page *page, const char *suffix, struct slice labels,
                   const char *le, uint64_t value)
{
    char *at = begin_line(page, suffix, labels, le != NULL ? "le" : NULL, le);
    if (at != NULL)
        end_line(page, put_number(at, (int64_t)value));
}

void metrics_histogram(struct metrics_page *page, struct slice labels,
                       const struct histogram *histogram, int64_t scale)
{
    uint64_t total = 0;
    format_bounds(page, histogram, scale);
    for (unsigned i = 0; i <= histogram->n; i++) {
        total += histogram->counts[i];
        sample(page, "_bucket", labels, i < histogram->n ? page->le[i] : "+Inf", total);
    }
    char *at = begin_line(page, "_sum", labels, NULL, NULL);
    if (at != NULL)
        end_line(page, put_fraction(at, histogram->sum, scale));
    sample(page, "_count", labels, NULL, total);
}
