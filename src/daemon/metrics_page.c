#include "daemon/metrics_page.h"

#include <stdio.h>
#include <string.h>

enum { LINE_REST = 256 }; /* bytes of a line beside its name and its first labels, at most */

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

/* ---- text ---- */

static void put(struct metrics_page *page, const char *text, size_t n)
{
    if (page->rc == 0)
        page->rc = buf_append(page->out, text, n);
}

static void put_str(struct metrics_page *page, const char *text)
{
    put(page, text, strlen(text));
}

/* Decimal digits of value into the end of `out`; where they begin. */
static char *digits(uint64_t value, char out[20])
{
    char *at = out + 20;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return at;
}

static void put_number(struct metrics_page *page, int64_t value)
{
    char out[20];
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *at = digits(size, out);
    if (value < 0)
        put(page, "-", 1);
    put(page, at, (size_t)(out + sizeof(out) - at));
}

/* "0.0025": without zeros at its end; value is not below 0. */
static size_t format_fraction(int64_t value, int64_t scale, char *out)
{
    char text[20];
    char *at = digits((uint64_t)(value / scale), text);
    size_t n = (size_t)(text + sizeof(text) - at);
    int64_t rest = value % scale;
    memcpy(out, at, n);
    if (rest != 0)
        out[n++] = '.';
    for (scale /= 10; rest != 0; scale /= 10) {
        out[n++] = (char)('0' + rest / scale);
        rest %= scale;
    }
    return n;
}

static void put_fraction(struct metrics_page *page, int64_t value, int64_t scale)
{
    char text[48];
    put(page, text, format_fraction(value > 0 ? value : 0, scale, text));
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

/* The line up to its value; one reservation makes room for all of it. */
static void begin_line(struct metrics_page *page, const char *suffix, struct slice labels,
                       const char *label, const char *word)
{
    if (page->rc == 0)
        page->rc = buf_reserve(page->out, page->name_len + labels.len + LINE_REST);
    put(page, page->name, page->name_len);
    put_str(page, suffix);
    if (labels.len == 0 && label == NULL) {
        put(page, " ", 1);
        return;
    }
    put(page, "{", 1);
    put(page, labels.ptr, labels.len);
    if (label != NULL) {
        if (labels.len > 0)
            put(page, ",", 1);
        put_str(page, label);
        put(page, "=\"", 2);
        put_str(page, word);
        put(page, "\"", 1);
    }
    put(page, "} ", 2);
}

void metrics_value(struct metrics_page *page, struct slice labels, const char *label,
                   const char *word, int64_t value)
{
    begin_line(page, "", labels, label, word);
    put_number(page, value);
    put(page, "\n", 1);
}

void metrics_fraction(struct metrics_page *page, struct slice labels, int64_t value, int64_t scale)
{
    begin_line(page, "", labels, NULL, NULL);
    put_fraction(page, value, scale);
    put(page, "\n", 1);
}

/* The same for all histograms of a family. */
static void format_bounds(struct metrics_page *page, const struct histogram *histogram,
                          int64_t scale)
{
    if (page->bounds != NULL && page->bounds->bounds == histogram->bounds)
        return;
    page->bounds = histogram;
    for (unsigned i = 0; i < histogram->n; i++) {
        size_t n = format_fraction(histogram->bounds[i], scale, page->le[i]);
        page->le[i][n] = '\0';
    }
}

void metrics_histogram(struct metrics_page *page, struct slice labels,
                       const struct histogram *histogram, int64_t scale)
{
    uint64_t total = 0;
    format_bounds(page, histogram, scale);
    for (unsigned i = 0; i <= histogram->n; i++) {
        total += histogram->counts[i];
        begin_line(page, "_bucket", labels, "le", i < histogram->n ? page->le[i] : "+Inf");
        put_number(page, (int64_t)total);
        put(page, "\n", 1);
    }
    begin_line(page, "_sum", labels, NULL, NULL);
    put_fraction(page, histogram->sum, scale);
    put(page, "\n", 1);
    begin_line(page, "_count", labels, NULL, NULL);
    put_number(page, (int64_t)total);
    put(page, "\n", 1);
}
