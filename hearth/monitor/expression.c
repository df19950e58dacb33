/* A recursive descent over three levels: sums, products, atoms. The depth of parentheses is bounded. */
#include "monitor/expression.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MOST = 50 };

struct parser {
    const char *at;
    const struct cpu_state *state;
    const char *error;
    unsigned depth;
};

static const struct {
    const char *name;
    size_t offset, size;
} registers[] = {
#define GPR(name, number)                                                                                    \
    {                                                                                                        \
        name, offsetof(struct cpu_state, gpr) + 8 * (number), 8                                              \
    }
    GPR("rax", RAX),
    GPR("rcx", RCX),
    GPR("rdx", RDX),
    GPR("rbx", RBX),
    GPR("rsp", RSP),
    GPR("rbp", RBP),
    GPR("rsi", RSI),
    GPR("rdi", RDI),
    GPR("eax", RAX),
    GPR("ecx", RCX),
    GPR("edx", RDX),
    GPR("ebx", RBX),
    GPR("esp", RSP),
    GPR("ebp", RBP),
    GPR("esi", RSI),
    GPR("edi", RDI),
    GPR("r8", R8),
    GPR("r9", R9),
    GPR("r10", R10),
    GPR("r11", R11),
    GPR("r12", R12),
    GPR("r13", R13),
    GPR("r14", R14),
    GPR("r15", R15),
    GPR("sp", RSP),
    GPR("fp", RBP),
#undef GPR
#define PLAIN(name, field)                                                                                   \
    {                                                                                                        \
        name, offsetof(struct cpu_state, field), sizeof(((struct cpu_state *)0)->field)                      \
    }
    PLAIN("rip", rip),
    PLAIN("eip", rip),
    PLAIN("pc", rip),
    PLAIN("eflags", rflags),
    PLAIN("rflags", rflags),
    PLAIN("cr0", cr0),
    PLAIN("cr2", cr2),
    PLAIN("cr3", cr3),
    PLAIN("cr4", cr4),
    PLAIN("efer", efer),
    PLAIN("cs", segment[SEG_CS].selector),
    PLAIN("ds", segment[SEG_DS].selector),
    PLAIN("es", segment[SEG_ES].selector),
    PLAIN("fs", segment[SEG_FS].selector),
    PLAIN("gs", segment[SEG_GS].selector),
    PLAIN("ss", segment[SEG_SS].selector),
    PLAIN("cs.base", segment[SEG_CS].base),
    PLAIN("ds.base", segment[SEG_DS].base),
    PLAIN("es.base", segment[SEG_ES].base),
    PLAIN("fs.base", segment[SEG_FS].base),
    PLAIN("gs.base", segment[SEG_GS].base),
    PLAIN("ss.base", segment[SEG_SS].base),
#undef PLAIN
};

static void skip_blanks(struct parser *parser)
{
    while (isspace((unsigned char)*parser->at))
        parser->at++;
}

static uint64_t fail(struct parser *parser, const char *error)
{
    if (!parser->error)
        parser->error = error;
    return 0;
}

static uint64_t parse_register(struct parser *parser)
{
    size_t length = strspn(parser->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.");
    for (size_t i = 0; parser->state && i < sizeof(registers) / sizeof(registers[0]); i++) {
        uint64_t value = 0;
        if (strlen(registers[i].name) != length || strncasecmp(registers[i].name, parser->at, length))
            continue;
        memcpy(&value, (const char *)parser->state + registers[i].offset, registers[i].size);
        parser->at += length;
        return value;
    }
    return fail(parser, "unknown register");
}

/*
 * Takes one of these operators, 0 if none is next. Outside of parentheses "16 /tmp/file" is a number and the next
 * argument, "16 / 4" and "16/4" a division: a blank on the left alone ends the expression.
 */
static char operator_take(struct parser *parser, const char *operators)
{
    const char *at = parser->at;
    if (parser->error || !*at || !strchr(operators, *at))
        return 0;
    if (!parser->depth && isspace((unsigned char)at[-1]) && !isspace((unsigned char)at[1]))
        return 0; /* there is an at[-1]: something was read without an error */
    parser->at++;
    return *at;
}

static uint64_t parse_sum(struct parser *parser);

static uint64_t parse_atom(struct parser *parser)
{
    uint64_t value;
    char *end;

    skip_blanks(parser);
    if (++parser->depth > DEPTH_MOST)
        return fail(parser, "too many parentheses or signs");
    if (*parser->at == '(') {
        parser->at++;
        value = parse_sum(parser);
        if (*parser->at != ')')
            return fail(parser, "')' expected");
        parser->at++;
    } else if (*parser->at == '-') {
        parser->at++;
        value = -parse_atom(parser);
    } else if (*parser->at == '~') {
        parser->at++;
        value = ~parse_atom(parser);
    } else if (*parser->at == '$') {
        parser->at++;
        value = parse_register(parser);
    } else if (isdigit((unsigned char)*parser->at)) {
        value = strtoull(parser->at, &end, 0);
        parser->at = end;
    } else {
        return fail(parser, "number expected");
    }
    parser->depth--;
    skip_blanks(parser);
    return value;
}

static uint64_t parse_product(struct parser *parser)
{
    uint64_t value = parse_atom(parser);
    for (char symbol; (symbol = operator_take(parser, "*/%"));) {
        uint64_t right = parse_atom(parser);
        if (symbol == '*')
            value *= right;
        else if (!right)
            return fail(parser, "division by zero");
        else
            value = symbol == '/' ? value / right : value % right;
    }
    return value;
}

static uint64_t parse_sum(struct parser *parser)
{
    uint64_t value = parse_product(parser);
    for (char symbol; (symbol = operator_take(parser, "+-&|^"));) {
        uint64_t right = parse_product(parser);
        switch (symbol) {
        case '+': value += right; break;
        case '-': value -= right; break;
        case '&': value &= right; break;
        case '|': value |= right; break;
        default: value ^= right; break;
        }
    }
    return value;
}

bool expression_parse(const char **text, const struct cpu_state *state, uint64_t *value, const char **error)
{
    struct parser parser = {.at = *text, .state = state};
    *value = parse_sum(&parser);
    *text = parser.at;
    *error = parser.error;
    return !parser.error;
}
