#include "commands/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WHAT_WIDTH = 52 };

static void json_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text < ' ')
            printf("\\u%04x", (unsigned char)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

void report_begin(struct report *report)
{
    report->colour = isatty(STDOUT_FILENO);
    if (report->json)
        fputs("{\"items\": [", stdout);
}

static void item_json(struct report *report, enum finding finding, const char *what, const char *found,
                      const char *mend)
{
    static const char *const words[] = {"ok", "missing", "warning", "unknown", "note"};
    printf("%s\n  {\"item\": ", report->items ? "," : "");
    json_text(what);
    printf(", \"state\": \"%s\", \"found\": ", words[finding]);
    json_text(found);
    if (mend) {
        fputs(", \"mend\": ", stdout);
        json_text(mend);
    }
    putchar('}');
}

static void item_print(struct report *report, enum finding finding, const char *what, const char *found,
                       const char *mend)
{
    static const struct {
        const char *word, *colour;
    } words[] = {{"PASS", "32"}, {"FAIL", "31"}, {"WARN", "33"}, {"WARN", "33"}, {"NOTE", "34"}};
    if (report->quiet && (finding == FINDING_OK || finding == FINDING_NOTE))
        return;
    printf("hearth: Checking %-*s: ", WHAT_WIDTH, what);
    if (report->colour)
        printf("\033[%sm%s\033[0m", words[finding].colour, words[finding].word);
    else
        fputs(words[finding].word, stdout);
    if (*found || mend)
        printf(" (%s%s%s)", found, *found && mend ? "; " : "", mend ? mend : "");
    putchar('\n');
}

void report_item(struct report *report, enum finding finding, const char *what, const char *found,
                 const char *mend)
{
    if (report->json)
        item_json(report, finding, what, found, mend);
    else
        item_print(report, finding, what, found, mend);
    report->items++;
    report->failed |= finding == FINDING_MISSING;
}

int report_end(struct report *report)
{
    if (report->json)
        printf("\n], \"guests_run_on_kvm\": %s}\n", report->failed ? "false" : "true");
    return report->failed;
}
