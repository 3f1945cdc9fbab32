// The small nets of benches/workloads.rs in C++: the classifiers as plain loops over constant sizes, which the compiler
// unrolls and vectorises; the others by hand in vectors of sixteen, twice as fast as plain loops. It prints the same
// lines. benches/tiny.sh builds it and runs both by turns.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

static double setting(const char *name, double otherwise) {
    const char *value = getenv(name);
    return value ? atof(value) : otherwise;
}

static double now() { // ns of this process's CPU time
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

struct Lcg {
    uint64_t state;
    double unit() {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return double(state >> 40) / (1 << 24);
    }
    double within(double size) { return (2 * unit() - 1) * size; }
};

// A layer of a few numbers. W lies output after output: of the two orders the faster for these nets.
template <class T, int I, int O> struct Affine {
    alignas(64) T w[O][I];
    alignas(64) T b[O];

    void init(Lcg &lcg) {
        double size = std::sqrt(1.0 / I);
        for (int i = 0; i < I; i++)
            for (int o = 0; o < O; o++) w[o][i] = lcg.within(size);
        for (int o = 0; o < O; o++) b[o] = 0;
    }
    void forward(const T *x, T *y) const {
        for (int o = 0; o < O; o++) {
            T sum = b[o];
            for (int i = 0; i < I; i++) sum += w[o][i] * x[i];
            y[o] = sum;
        }
    }
    void back(const T *dy, T *dx) const {
        for (int i = 0; i < I; i++) {
            T sum = 0;
            for (int o = 0; o < O; o++) sum += w[o][i] * dy[o];
            dx[i] = sum;
        }
    }
    // One step down the gradient of B samples.
    template <int B> void update(T rate, const T (*dy)[O], const T (*x)[I]) {
        for (int i = 0; i < I; i++)
            for (int o = 0; o < O; o++) {
                T sum = 0;
                for (int s = 0; s < B; s++) sum += dy[s][o] * x[s][i];
                w[o][i] -= rate * sum;
            }
        for (int o = 0; o < O; o++) {
            T sum = 0;
            for (int s = 0; s < B; s++) sum += dy[s][o];
            b[o] -= rate * sum;
        }
    }
};

template <class F> static void measure(const char *workload, const char *type, F f) {
    double target = setting("BENCH_MS", 20) * 1e6, times = 1, ns[99];
    int samples = std::min(99, int(setting("BENCH_SAMPLES", 9)));
    auto run = [&](double times) {
        double start = now();
        for (long i = long(times); i > 0; i--) f();
        return now() - start;
    };
    for (double took; (took = run(times)) < target;)
        times = double(long(times * std::min(16.0, std::max(1.5, 1.1 * target / took)))) + 1;
    for (int i = 0; i < samples; i++) ns[i] = run(times) / times;
    std::sort(ns, ns + samples);
    printf("R\t%s\tC++\t%s\t%.2f\t%.2f\n", workload, type, ns[samples / 2], ns[0]);
}

static bool wanted(const char *workload, const char *type) {
    const char *only = getenv("BENCH_ONLY");
    if (!only || !*only) return true;
    char name[64], list[256];
    snprintf(name, sizeof name, "%s.%s", workload, type);
    snprintf(list, sizeof list, "%s", only);
    for (char *p = strtok(list, ","); p; p = strtok(nullptr, ","))
        if (!strncmp(name, p, strlen(p))) return true;
    return false;
}

template <class F> static void train(const char *workload, const char *type, F step) {
    if (!wanted(workload, type)) return;
    double first = step(), last = 0;
    measure(workload, type, [&] { last = step(); });
    printf("L\t%s\tC++\t%s\t%.5f\t%.5f\n", workload, type, first, last);
}

// I-H-O with ReLU, softmax and cross entropy.
template <class T, int I, int H, int O, int B> static void classify(const char *workload, const char *type) {
    static Affine<T, I, H> first;
    static Affine<T, H, O> last;
    static T points[256][I];
    static int labels[256];
    Lcg lcg = {1}, data = {11};
    first.init(lcg), last.init(lcg);
    for (int s = 0; s < 256; s++) {
        for (int i = 0; i < I; i++) points[s][i] = data.within(1);
        labels[s] = int(data.unit() * O);
    }
    int at = 0;
    train(workload, type, [&] {
        const T(*x)[I] = points + at;
        const int *label = labels + at;
        at = (at + B) % 256;
        alignas(64) T h[B][H], dh[B][H], y[B][O], dy[B][O], loss = 0;
        for (int s = 0; s < B; s++) {
            first.forward(x[s], h[s]);
            for (int i = 0; i < H; i++) h[s][i] = h[s][i] > 0 ? h[s][i] : 0;
            last.forward(h[s], y[s]);
        }
        for (int s = 0; s < B; s++) {
            T top = y[s][0], sum = 0;
            for (int o = 1; o < O; o++) top = y[s][o] > top ? y[s][o] : top;
            for (int o = 0; o < O; o++) sum += dy[s][o] = std::exp(y[s][o] - top);
            loss += std::log(sum) + top - y[s][label[s]];
            for (int o = 0; o < O; o++) dy[s][o] = (dy[s][o] / sum - T(o == label[s])) / B;
        }
        for (int s = 0; s < B; s++) {
            last.back(dy[s], dh[s]);
            for (int i = 0; i < H; i++) dh[s][i] = h[s][i] > 0 ? dh[s][i] : 0;
        }
        last.template update<B>(T(0.1), dy, h);
        first.template update<B>(T(0.1), dh, x);
        return double(loss / B);
    });
}

// Sixteen numbers, which the compiler puts into one register or two.
template <class T> struct Sixteen {
    typedef T V __attribute__((vector_size(16 * sizeof(T))));
};

// The sum over i of w[i]·x[i], as four sums side by side.
template <int I, class V, class T> static inline V combine(V start, const V *w, const T *x) {
    V sums[4] = {start, V{}, V{}, V{}};
#pragma GCC unroll 16
    for (int i = 0; i < I; i++) sums[i % 4] += w[i] * x[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class T> static inline typename Sixteen<T>::V tanh16(typename Sixteen<T>::V x) {
    union {
        typename Sixteen<T>::V v;
        T a[16];
    } all = {x};
    for (int i = 0; i < 16; i++) all.a[i] = std::tanh(all.a[i]);
    return all.v;
}

// 2-16-16-1 with tanh and the squared error. The middle layer is there twice, by inputs and by outputs, so that the way
// back needs no sum over a register.
template <class T, int B> static void fit(const char *workload, const char *type) {
    typedef typename Sixteen<T>::V V;
    union Numbers {
        V v;
        T a[16];
    };
    static Numbers first[2], first_b, middle[16], turned[16], middle_b, last;
    static T last_b, points[256][2], targets[256];
    const T rate = T(0.02) / B;
    Lcg lcg = {1}, data = {11};
    for (int i = 0; i < 2; i++)
        for (T &w : first[i].a) w = lcg.within(std::sqrt(0.5));
    for (int i = 0; i < 16; i++)
        for (int o = 0; o < 16; o++) turned[o].a[i] = middle[i].a[o] = lcg.within(0.25);
    for (T &w : last.a) w = lcg.within(0.25);
    first_b.v = middle_b.v = V{}, last_b = 0;
    for (int s = 0; s < 256; s++) {
        double a = data.within(1), b = data.within(1);
        points[s][0] = a, points[s][1] = b, targets[s] = std::sin(3 * a) * b;
    }
    int at = 0;
    train(workload, type, [&] {
        const T(*x)[2] = points + at;
        const T *t = targets + at;
        at = (at + B) % 256;
        Numbers h[B], k[B], dh[B], dk[B];
        T d[B], loss = 0, sum = 0;
        for (int s = 0; s < B; s++) {
            h[s].v = first_b.v + first[0].v * x[s][0] + first[1].v * x[s][1];
            h[s].v = tanh16<T>(h[s].v);
        }
        for (int s = 0; s < B; s++) {
            k[s].v = combine<16>(middle_b.v, &middle[0].v, h[s].a);
            k[s].v = tanh16<T>(k[s].v);
        }
        for (int s = 0; s < B; s++) {
            Numbers product = {k[s].v * last.v};
            T y = last_b;
            for (T number : product.a) y += number;
            T e = y - t[s];
            loss += e * e, d[s] = e * rate, sum += d[s];
            // From here on the gradients are already times the rate.
            dk[s].v = last.v * d[s] * (1 - k[s].v * k[s].v);
        }
        for (int s = 0; s < B; s++) dh[s].v = combine<16>(V{}, &turned[0].v, dk[s].a) * (1 - h[s].v * h[s].v);
        for (int s = 0; s < B; s++) {
            last.v -= k[s].v * d[s];
            middle_b.v -= dk[s].v, first_b.v -= dh[s].v;
            first[0].v -= dh[s].v * x[s][0], first[1].v -= dh[s].v * x[s][1];
        }
        last_b -= sum;
        if (B == 1) {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) middle[i].v -= dk[0].v * h[0].a[i];
#pragma GCC unroll 16
            for (int o = 0; o < 16; o++) turned[o].v -= h[0].v * dk[0].a[o];
        } else {
            V change[16] = {};
            for (int s = 0; s < B; s++)
#pragma GCC unroll 16
                for (int i = 0; i < 16; i++) change[i] += dk[s].v * h[s].a[i];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) middle[i].v -= change[i];
            for (int i = 0; i < 16; i++)
                for (int o = 0; o < 16; o++) turned[o].a[i] = middle[i].a[o];
        }
        return double(loss / B);
    });
}

// A prediction by 8-16-16-4 with ReLU.
template <class T> static void predict(const char *workload, const char *type) {
    typedef typename Sixteen<T>::V V;
    typedef T Four __attribute__((vector_size(4 * sizeof(T))));
    static V first[8], first_b, middle[16], middle_b;
    static Four last[16], last_b;
    static T x[8];
    [[maybe_unused]] static volatile T out[4];
    Lcg lcg = {1}, data = {3};
    for (V &w : first)
        for (int o = 0; o < 16; o++) w[o] = lcg.within(std::sqrt(1 / 8.0));
    for (V &w : middle)
        for (int o = 0; o < 16; o++) w[o] = lcg.within(0.25);
    for (Four &w : last)
        for (int o = 0; o < 4; o++) w[o] = lcg.within(0.25);
    for (T &number : x) number = data.within(1);
    if (!wanted(workload, type)) return;
    measure(workload, type, [&] {
        asm volatile("" ::: "memory");
        union {
            V v;
            T a[16];
        } h, k;
        h.v = combine<8>(first_b, first, x);
        h.v = h.v > 0 ? h.v : V{};
        k.v = combine<16>(middle_b, middle, h.a);
        k.v = k.v > 0 ? k.v : V{};
        Four y = combine<16>(last_b, last, k.a);
        for (int i = 0; i < 4; i++) out[i] = y[i];
    });
}

template <class T> static void all(const char *type) {
    fit<T, 1>("W3.b1", type);
    fit<T, 32>("W3.b32", type);
    predict<T>("W4.tiny", type);
    classify<T, 4, 8, 3, 1>("4-8-3.b1", type);
    classify<T, 4, 8, 3, 4>("4-8-3.b4", type);
    classify<T, 2, 5, 2, 1>("2-5-2.b1", type);
    classify<T, 2, 5, 2, 4>("2-5-2.b4", type);
}

int main() {
    all<float>("f32");
    all<double>("f64");
}
