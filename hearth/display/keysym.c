/*
 * Source: X11/keysymdef.h (the numbers); RFC 6143, 7.5.4 (which of them viewers send); the RFB protocol's "QEMU Extended Key
 * Event Message" (rfbproto, https://github.com/rfbproto/rfbproto).
 */
#include "display/keysym.h"

#include <string.h>

#include "core/input.h"

enum {
    LATIN_1_LAST = 0xff,
    XT_EXTENDED = 0x80,
    XT_PAUSE = 0xc6,
    XT_MOST = 0xff,
};

/* Names are those of key_named(). */
static const struct {
    uint16_t keysym;
    const char *name;
} keysyms[] = {
    {0xff08, "backspace"},   {0xff09, "tab"},       {0xfe20, "tab"},         {0xff0a, "ret"},
    {0xff0d, "ret"},         {0xff13, "pause"},     {0xff14, "scroll_lock"}, {0xff15, "print"},
    {0xff61, "print"},       {0xff6b, "pause"},     {0xff1b, "esc"},         {0xff50, "home"},
    {0xff51, "left"},        {0xff52, "up"},        {0xff53, "right"},       {0xff54, "down"},
    {0xff55, "pgup"},        {0xff56, "pgdn"},      {0xff57, "end"},         {0xff63, "insert"},
    {0xffff, "delete"},      {0xff67, "menu"},      {0xff7f, "num_lock"},    {0xff8d, "kp_enter"},
    {0xffaa, "kp_multiply"}, {0xffab, "kp_add"},    {0xffac, "kp_decimal"},  {0xffad, "kp_subtract"},
    {0xffae, "kp_decimal"},  {0xffaf, "kp_divide"}, {0xffb0, "kp_0"},        {0xffb1, "kp_1"},
    {0xffb2, "kp_2"},        {0xffb3, "kp_3"},      {0xffb4, "kp_4"},        {0xffb5, "kp_5"},
    {0xffb6, "kp_6"},        {0xffb7, "kp_7"},      {0xffb8, "kp_8"},        {0xffb9, "kp_9"},
    {0xff95, "kp_7"},        {0xff96, "kp_4"},      {0xff97, "kp_8"},        {0xff98, "kp_6"},
    {0xff99, "kp_2"},        {0xff9a, "kp_9"},      {0xff9b, "kp_3"},        {0xff9c, "kp_1"},
    {0xff9d, "kp_5"},        {0xff9e, "kp_0"},      {0xff9f, "kp_decimal"},  {0xffbe, "f1"},
    {0xffbf, "f2"},          {0xffc0, "f3"},        {0xffc1, "f4"},          {0xffc2, "f5"},
    {0xffc3, "f6"},          {0xffc4, "f7"},        {0xffc5, "f8"},          {0xffc6, "f9"},
    {0xffc7, "f10"},         {0xffc8, "f11"},       {0xffc9, "f12"},         {0xffe1, "shift"},
    {0xffe2, "shift_r"},     {0xffe3, "ctrl"},      {0xffe4, "ctrl_r"},      {0xffe5, "caps_lock"},
    {0xffe7, "alt"},         {0xffe8, "alt_r"},     {0xffe9, "alt"},         {0xffea, "alt_r"},
    {0xffeb, "meta_l"},      {0xffec, "meta_r"},    {0xfe03, "alt_r"},       {0xff7e, "alt_r"},
};

struct key_press key_for_keysym(uint32_t keysym)
{
    if (keysym >= ' ' && keysym <= LATIN_1_LAST)
        return key_for_character((unsigned char)keysym);
    for (unsigned i = 0; i < sizeof(keysyms) / sizeof(keysyms[0]); i++)
        if (keysyms[i].keysym == keysym)
            return (struct key_press){key_named(keysyms[i].name, strlen(keysyms[i].name)), 0};
    return (struct key_press){0};
}

uint16_t key_for_xt(uint32_t code)
{
    if (!code || code > XT_MOST)
        return 0;
    if (code == XT_PAUSE)
        return KEY_PAUSE;
    return code & XT_EXTENDED ? (uint16_t)(KEY_EXTENDED | (code & ~XT_EXTENDED)) : (uint16_t)code;
}
