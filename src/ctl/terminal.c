#include "ctl/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct terminal terminal_look(void)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    struct terminal terminal = {.tty = isatty(STDOUT_FILENO)};
    struct winsize size = {0};
    if (!terminal.tty)
        return terminal;
    terminal.colour =
        (no_colour == NULL || no_colour[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
    terminal.width = 80;
    terminal.height = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        terminal.width = size.ws_col;
        terminal.height = size.ws_row;
    }
    return terminal;
}

void terminal_clean(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool c1 = byte == 0xC2 && i + 1 < n && (unsigned char)text[i + 1] < 0xA0;
        if (byte < 0x20 || byte == 0x7F || c1)
            text[i] = '?';
        if (c1)
            text[++i] = '?';
    }
}

/* ---- colour ---- */

void terminal_begin(const struct terminal *terminal, struct buf *out, enum terminal_style style)
{
    static const char *const codes[] = {[STYLE_BAD] = "\033[1;31m",
                                        [STYLE_WARN] = "\033[33m",
                                        [STYLE_GOOD] = "\033[32m",
                                        [STYLE_STRONG] = "\033[1m",
                                        [STYLE_DIM] = "\033[2m"};
    if (terminal->colour)
        (void)buf_append_str(out, codes[style]);
}

void terminal_end(const struct terminal *terminal, struct buf *out)
{
    if (terminal->colour)
        (void)buf_append_str(out, "\033[0m");
}

/* ---- screens ---- */

bool terminal_write(struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = slice_from(bytes, (size_t)n);
    }
    return true;
}

void terminal_enter(void)
{
    (void)terminal_write(SLICE("\033[?1049h\033[?25l\033[?7l\033[H\033[2J"));
}

void terminal_leave(void)
{
    (void)terminal_write(SLICE("\033[?7h\033[?25h\033[?1049l"));
}

static size_t count_lines(struct slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

bool terminal_draw(const struct terminal *terminal, struct slice lines)
{
    struct buf out;
    size_t total = count_lines(lines), room = terminal->height;
    size_t shown = total <= room ? total : room - 1;
    const char *end;
    buf_init(&out, BUF_UNBOUNDED);
    (void)buf_append_str(&out, "\033[H");
    for (size_t i = 0; i < shown && (end = slice_find_byte(lines, '\n')) != NULL; i++) {
        size_t n = (size_t)(end - lines.ptr);
        (void)buf_append(&out, lines.ptr, n);
        /* The rest of the old line goes; a line break after the last one would scroll. */
        (void)buf_append_str(&out, i + 1 < room ? "\033[K\r\n" : "\033[K");
        lines = slice_from(lines, n + 1);
    }
    if (shown < total)
        (void)buf_appendf(&out, "\033[K(%zu more lines; make the terminal larger)", total - shown);
    (void)buf_append_str(&out, "\033[J");
    bool good = terminal_write(buf_slice(&out));
    buf_fini(&out);
    return good;
}
