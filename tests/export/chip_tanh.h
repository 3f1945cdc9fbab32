/* Written by chainrule 0.1.0: a net of 49 parameters. */
#ifndef CHAINRULE_net
#define CHAINRULE_net
#include <math.h>

enum { net_inputs = 1, net_outputs = 1 };

/* From 1 inputs x to 1 outputs y. */
static inline void net_predict(const float *x, float *y) {
    float a[16];
    float b[16];
    {
    static const float weight[16] = {
        0.992227f, -0.9257222f, -0.36518037f, -0.9908503f, 0.43094108f, -0.9129655f, 0.59019375f, -0.2699026f,
        -0.15655914f, 0.1323213f, 0.9131765f, 0.22640352f, 0.99116796f, 0.9541422f, -0.31022358f, -0.3241827f};
    static const float bias[16] = {
        0.925211f, -0.5047831f, 0.895681f, 0.02829221f, 0.93562317f, -0.6119923f, 0.42379937f, -0.77281225f,
        -0.68061054f, 0.3369004f, -0.4972337f, -0.15815146f, -0.4084024f, -0.8022468f, 0.19778116f, -0.19749902f};
    for (int i = 0; i < 16; i++) a[i] = bias[i];
    for (int j = 0; j < 1; j++) for (int i = 0; i < 16; i++) a[i] += weight[j * 16 + i] * x[j];
    }
    for (int i = 0; i < 16; i++) { const float v = a[i]; b[i] = tanhf(v); }
    {
    static const float weight[16] = {
        -0.575313f, -0.8208388f, -0.121041946f, 0.08569545f, 0.35703933f, -0.5292112f, -0.092269875f, -0.5310754f,
        -0.41416684f, -0.54964596f, 0.72107136f, -0.6085112f, -0.5211623f, -0.47543937f, -0.46606082f, -0.62951654f};
    static const float bias[1] = {
        -0.06390906f};
    for (int i = 0; i < 1; i++) a[i] = bias[i];
    for (int j = 0; j < 16; j++) for (int i = 0; i < 1; i++) a[i] += weight[j * 1 + i] * b[j];
    }
    for (int i = 0; i < 1; i++) y[i] = a[i];
}

#endif
