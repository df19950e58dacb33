/*
 * The instructions by kind, each kind a list X(name, bytes of the memory operand). From the lists come the handlers
 * (sse-integer.c, sse-float.c, sse-mmx.c) and their declarations; a name is the assembler's. Every one has a pair of
 * handlers, sse_NAME_register and sse_NAME_memory (mmx_... on MMX registers).
 */
#ifndef SOFT_SSE_HANDLERS_H
#define SOFT_SSE_HANDLERS_H

#include "cpu/soft/op.h"

/* clang-format off */

/* MMX registers, and XMM registers since SSE2 or SSSE3. */
#define MMX_AND_XMM(X) \
    X(packsswb, 8) X(pcmpgtb, 8) X(pcmpgtw, 8) X(pcmpgtd, 8) X(packuswb, 8) X(punpckhbw, 8) X(punpckhwd, 8) \
    X(punpckhdq, 8) X(packssdw, 8) X(pcmpeqb, 8) X(pcmpeqw, 8) X(pcmpeqd, 8) X(psrlw, 8) X(psrld, 8) X(psrlq, 8) \
    X(paddq, 8) X(pmullw, 8) X(psubusb, 8) X(psubusw, 8) X(pminub, 8) X(pand, 8) X(paddusb, 8) X(paddusw, 8) \
    X(pmaxub, 8) X(pandn, 8) X(pavgb, 8) X(psraw, 8) X(psrad, 8) X(pavgw, 8) X(pmulhuw, 8) X(pmulhw, 8) \
    X(psubsb, 8) X(psubsw, 8) X(pminsw, 8) X(por, 8) X(paddsb, 8) X(paddsw, 8) X(pmaxsw, 8) X(pxor, 8) \
    X(psllw, 8) X(pslld, 8) X(psllq, 8) X(pmuludq, 8) X(pmaddwd, 8) X(psadbw, 8) X(psubb, 8) X(psubw, 8) \
    X(psubd, 8) X(psubq, 8) X(paddb, 8) X(paddw, 8) X(paddd, 8) X(punpcklbw, 4) X(punpcklwd, 4) X(punpckldq, 4) \
    X(pshufb, 8) X(phaddw, 8) X(phaddd, 8) X(phaddsw, 8) X(pmaddubsw, 8) X(phsubw, 8) X(phsubd, 8) \
    X(phsubsw, 8) X(psignb, 8) X(psignw, 8) X(psignd, 8) X(pmulhrsw, 8) X(pabsb, 8) X(pabsw, 8) X(pabsd, 8)

/* XMM registers alone; MXCSR has no say. */
#define XMM_ONLY(X) \
    X(punpcklqdq, 16) X(punpckhqdq, 16) X(andps, 16) X(andpd, 16) X(andnps, 16) X(andnpd, 16) X(orps, 16) \
    X(orpd, 16) X(xorps, 16) X(xorpd, 16) X(unpcklps, 16) X(unpcklpd, 16) X(unpckhps, 16) X(unpckhpd, 16) \
    X(movshdup, 16) X(movsldup, 16) X(movddup, 8) X(pmovsxbw, 8) X(pmovsxbd, 4) X(pmovsxbq, 2) X(pmovsxwd, 8) \
    X(pmovsxwq, 4) X(pmovsxdq, 8) X(pmovzxbw, 8) X(pmovzxbd, 4) X(pmovzxbq, 2) X(pmovzxwd, 8) X(pmovzxwq, 4) \
    X(pmovzxdq, 8) X(pmuldq, 16) X(pcmpeqq, 16) X(packusdw, 16) X(pcmpgtq, 16) X(pminsb, 16) X(pminsd, 16) \
    X(pminuw, 16) X(pminud, 16) X(pmaxsb, 16) X(pmaxsd, 16) X(pmaxuw, 16) X(pmaxud, 16) X(pmulld, 16) \
    X(phminposuw, 16) X(aesimc, 16) X(aesenc, 16) X(aesenclast, 16) X(aesdec, 16) X(aesdeclast, 16) \
    X(sha1nexte, 16) X(sha1msg1, 16) X(sha1msg2, 16) X(sha256msg1, 16) X(sha256msg2, 16) \
    X(movlhps, 8) X(movhlps, 8)

/* XMM0 is a third operand. */
#define XMM_THREE(X) X(pblendvb, 16) X(blendvps, 16) X(blendvpd, 16) X(sha256rnds2, 16)

/* Computed under MXCSR. */
#define XMM_FLOAT(X) \
    X(addps, 16) X(addpd, 16) X(addss, 4) X(addsd, 8) X(mulps, 16) X(mulpd, 16) X(mulss, 4) X(mulsd, 8) \
    X(subps, 16) X(subpd, 16) X(subss, 4) X(subsd, 8) X(divps, 16) X(divpd, 16) X(divss, 4) X(divsd, 8) \
    X(minps, 16) X(minpd, 16) X(minss, 4) X(minsd, 8) X(maxps, 16) X(maxpd, 16) X(maxss, 4) X(maxsd, 8) \
    X(sqrtps, 16) X(sqrtpd, 16) X(sqrtss, 4) X(sqrtsd, 8) X(rsqrtps, 16) X(rsqrtss, 4) X(rcpps, 16) X(rcpss, 4) \
    X(cvtps2pd, 8) X(cvtpd2ps, 16) X(cvtss2sd, 4) X(cvtsd2ss, 8) X(cvtdq2ps, 16) X(cvtps2dq, 16) \
    X(cvttps2dq, 16) X(cvttpd2dq, 16) X(cvtdq2pd, 8) X(cvtpd2dq, 16) X(haddps, 16) X(haddpd, 16) \
    X(hsubps, 16) X(hsubpd, 16) X(addsubps, 16) X(addsubpd, 16)

/* With an immediate byte; XMM_FLOAT_IMMEDIATE under MXCSR. */
#define XMM_IMMEDIATE(X) \
    X(pshufd, 16) X(pshufhw, 16) X(pshuflw, 16) X(shufps, 16) X(shufpd, 16) X(blendps, 16) X(blendpd, 16) \
    X(pblendw, 16) X(palignr, 16) X(mpsadbw, 16) X(pclmulqdq, 16) X(aeskeygenassist, 16) X(sha1rnds4, 16) \
    X(insertps, 4)
#define XMM_FLOAT_IMMEDIATE(X) \
    X(cmpps, 16) X(cmppd, 16) X(cmpss, 4) X(cmpsd, 8) X(roundps, 16) X(roundpd, 16) X(roundss, 4) X(roundsd, 8) \
    X(dpps, 16) X(dppd, 16)
#define MMX_IMMEDIATE(X) X(pshufw, 8) X(palignr, 8)
#define XMM_STRINGS(X) X(pcmpestrm, 16) X(pcmpestri, 16) X(pcmpistrm, 16) X(pcmpistri, 16)

/* Flags from a comparison. */
#define XMM_COMPARE(X) X(comiss, 4) X(comisd, 8) X(ucomiss, 4) X(ucomisd, 8)

/* Between XMM and MMX or general registers. */
#define XMM_FROM_MMX(X) X(cvtpi2ps, 8) X(cvtpi2pd, 8)
#define XMM_TO_MMX(X) X(cvtps2pi, 8) X(cvttps2pi, 8) X(cvtpd2pi, 16) X(cvttpd2pi, 16)
#define XMM_FROM_GENERAL(X) X(cvtsi2ssl, 4) X(cvtsi2sdl, 4) X(cvtsi2ssq, 8) X(cvtsi2sdq, 8)
#define XMM_TO_GENERAL(X) \
    X(cvtss2si_32, 4) X(cvttss2si_32, 4) X(cvtsd2si_32, 8) X(cvttsd2si_32, 8) \
    X(cvtss2si_64, 4) X(cvttss2si_64, 4) X(cvtsd2si_64, 8) X(cvttsd2si_64, 8)

/* The rest: pairs, and handlers of one form. */
#define XMM_PAIRS(X) \
    X(ptest) X(load_aligned) X(load) X(store_aligned) X(store) X(movss) X(movsd) X(store_32) X(store_64) \
    X(movq) X(insert_32) X(insert_64) X(extract_32) X(extract_64) X(pinsrb) X(pinsrw) X(pinsrd) X(pinsrq) \
    X(pextrb) X(pextrw) X(pextrd) X(pextrq) X(crc32_8) X(crc32_16) X(crc32_32) X(crc32_64)
#define XMM_SINGLES(X) \
    X(movlpd) X(store_high) X(movmskps) X(movmskpd) X(pmovmskb) X(movq2dq) X(movdq2q) X(maskmovdqu) X(movnti_32) \
    X(movnti_64) X(ldmxcsr) X(stmxcsr) X(fxsave) X(fxsave_64) X(fxrstor) X(fxrstor_64) \
    X(xsave) X(xsave_64) X(xrstor) X(xrstor_64) X(xgetbv) X(xsetbv) \
    X(shift_psrlw) X(shift_psraw) X(shift_psllw) X(shift_psrld) X(shift_psrad) X(shift_pslld) X(shift_psrlq) \
    X(shift_psllq) X(shift_psrldq) X(shift_pslldq)
#define MMX_PAIRS(X) X(load) X(store) X(insert_32) X(insert_64) X(extract_32) X(extract_64) X(pinsrw)
#define MMX_SINGLES(X) \
    X(emms) X(movntq) X(maskmovq) X(pmovmskb) X(pextrw) X(shift_psrlw) X(shift_psraw) X(shift_psllw) \
    X(shift_psrld) X(shift_psrad) X(shift_pslld) X(shift_psrlq) X(shift_psllq)
/* clang-format on */

#define SSE_DECLARE_PAIR(name, ...) op_function sse_##name##_register, sse_##name##_memory;
#define MMX_DECLARE_PAIR(name, ...) op_function mmx_##name##_register, mmx_##name##_memory;
#define SSE_DECLARE_SINGLE(name)    op_function sse_##name;
#define MMX_DECLARE_SINGLE(name)    op_function mmx_##name;

MMX_AND_XMM(SSE_DECLARE_PAIR)
MMX_AND_XMM(MMX_DECLARE_PAIR)
XMM_ONLY(SSE_DECLARE_PAIR)
XMM_THREE(SSE_DECLARE_PAIR)
XMM_FLOAT(SSE_DECLARE_PAIR)
XMM_IMMEDIATE(SSE_DECLARE_PAIR)
XMM_FLOAT_IMMEDIATE(SSE_DECLARE_PAIR)
MMX_IMMEDIATE(MMX_DECLARE_PAIR)
XMM_STRINGS(SSE_DECLARE_PAIR)
XMM_COMPARE(SSE_DECLARE_PAIR)
XMM_FROM_MMX(SSE_DECLARE_PAIR)
XMM_TO_MMX(SSE_DECLARE_PAIR)
XMM_FROM_GENERAL(SSE_DECLARE_PAIR)
XMM_TO_GENERAL(SSE_DECLARE_PAIR)
XMM_PAIRS(SSE_DECLARE_PAIR)
XMM_SINGLES(SSE_DECLARE_SINGLE)
MMX_PAIRS(MMX_DECLARE_PAIR)
MMX_SINGLES(MMX_DECLARE_SINGLE)

#endif
