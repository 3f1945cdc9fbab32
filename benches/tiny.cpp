// The small nets of benches/workloads.rs in plain C++: loops over constant sizes, which the compiler unrolls and
// vectorises. It prints the same lines. benches/tiny.sh builds it and runs both by turns.
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

// W lies input after input, and once more output after output for the way back, so that no loop sums over a register.
template <class T, int I, int O> struct Affine {
    alignas(64) T w[I][O];
    alignas(64) T turned[O][I];
    alignas(64) T b[O];

    void init(Lcg &lcg) {
        double size = std::sqrt(1.0 / I);
        for (int i = 0; i < I; i++)
            for (int o = 0; o < O; o++) turned[o][i] = w[i][o] = lcg.within(size);
        for (int o = 0; o < O; o++) b[o] = 0;
    }
    void forward(const T *x, T *y) const {
        if (O == 1) {
            T sum = 0;
            for (int i = 0; i < I; i++) sum += w[i][0] * x[i];
            y[0] = sum + b[0];
            return;
        }
        // Four sums side by side, so that one addition need not wait for the one before.
        T sums[4][O];
        for (int o = 0; o < O; o++) sums[0][o] = b[o], sums[1][o] = sums[2][o] = sums[3][o] = 0;
        for (int i = 0; i < I; i++)
            for (int o = 0; o < O; o++) sums[i % (I < 8 ? 1 : 4)][o] += w[i][o] * x[i];
        for (int o = 0; o < O; o++) y[o] = I < 8 ? sums[0][o] : (sums[0][o] + sums[1][o]) + (sums[2][o] + sums[3][o]);
    }
    void back(const T *dy, T *dx) const {
        T sums[4][I];
        for (int i = 0; i < I; i++) sums[0][i] = sums[1][i] = sums[2][i] = sums[3][i] = 0;
        for (int o = 0; o < O; o++)
            for (int i = 0; i < I; i++) sums[o % (O < 8 ? 1 : 4)][i] += turned[o][i] * dy[o];
        for (int i = 0; i < I; i++) dx[i] = O < 8 ? sums[0][i] : (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i]);
    }
    // One step down the gradient of B samples. The first layer of a net has no way back.
    template <int B, bool FIRST> void update(T rate, const T (*dy)[O], const T (*x)[I]) {
        for (int i = 0; i < I; i++) {
            T sums[O] = {};
            for (int s = 0; s < B; s++)
                for (int o = 0; o < O; o++) sums[o] += dy[s][o] * x[s][i];
            for (int o = 0; o < O; o++) w[i][o] -= rate * sums[o];
        }
        if (!FIRST && B > 4) {
            for (int i = 0; i < I; i++)
                for (int o = 0; o < O; o++) turned[o][i] = w[i][o];
        } else if (!FIRST) {
            for (int o = 0; o < O; o++) {
                T sums[I] = {};
                for (int s = 0; s < B; s++)
                    for (int i = 0; i < I; i++) sums[i] += x[s][i] * dy[s][o];
                for (int i = 0; i < I; i++) turned[o][i] -= rate * sums[i];
            }
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
        last.template update<B, false>(T(0.1), dy, h);
        first.template update<B, true>(T(0.1), dh, x);
        return double(loss / B);
    });
}

// 2-16-16-1 with tanh and the squared error.
template <class T, int B> static void fit(const char *workload, const char *type) {
    static Affine<T, 2, 16> first;
    static Affine<T, 16, 16> middle;
    static Affine<T, 16, 1> last;
    alignas(64) static T points[256][2], targets[256];
    Lcg lcg = {1}, data = {11};
    first.init(lcg), middle.init(lcg), last.init(lcg);
    for (int s = 0; s < 256; s++) {
        double a = data.within(1), b = data.within(1);
        points[s][0] = a, points[s][1] = b, targets[s] = std::sin(3 * a) * b;
    }
    int at = 0;
    train(workload, type, [&] {
        const T(*x)[2] = points + at;
        const T *t = targets + at;
        at = (at + B) % 256;
        alignas(64) T h[B][16], k[B][16], dh[B][16], dk[B][16], dy[B][1], loss = 0;
        for (int s = 0; s < B; s++) {
            first.forward(x[s], h[s]);
            for (int i = 0; i < 16; i++) h[s][i] = std::tanh(h[s][i]);
        }
        for (int s = 0; s < B; s++) {
            middle.forward(h[s], k[s]);
            for (int i = 0; i < 16; i++) k[s][i] = std::tanh(k[s][i]);
        }
        for (int s = 0; s < B; s++) {
            T y;
            last.forward(k[s], &y);
            T e = y - t[s];
            loss += e * e;
            dy[s][0] = e * T(2.0 / B);
            for (int i = 0; i < 16; i++) dk[s][i] = last.w[i][0] * dy[s][0] * (1 - k[s][i] * k[s][i]);
            middle.back(dk[s], dh[s]);
            for (int i = 0; i < 16; i++) dh[s][i] *= 1 - h[s][i] * h[s][i];
        }
        last.template update<B, true>(T(0.01), dy, k);
        middle.template update<B, false>(T(0.01), dk, h);
        first.template update<B, true>(T(0.01), dh, x);
        return double(loss / B);
    });
}

// A prediction by 8-16-16-4 with ReLU.
template <class T> static void predict(const char *workload, const char *type) {
    static Affine<T, 8, 16> first;
    static Affine<T, 16, 16> middle;
    static Affine<T, 16, 4> last;
    alignas(64) static T x[8];
    static volatile T out[4];
    Lcg lcg = {1}, data = {3};
    first.init(lcg), middle.init(lcg), last.init(lcg);
    for (int i = 0; i < 8; i++) x[i] = data.within(1);
    if (!wanted(workload, type)) return;
    measure(workload, type, [&] {
        asm volatile("" ::: "memory");
        alignas(64) T h[16], k[16], y[4];
        first.forward(x, h);
        for (int i = 0; i < 16; i++) h[i] = h[i] > 0 ? h[i] : 0;
        middle.forward(h, k);
        for (int i = 0; i < 16; i++) k[i] = k[i] > 0 ? k[i] : 0;
        last.forward(k, y);
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
