/* The work of task.py by hand in C, with the random numbers of sgdtheory/kernels/random.py: xoshiro128++ streams that
   begin at Threefry-4x32-20 addresses, Box and Muller in float64 without calls, Marsaglia and Tsang for chi square.
   Replicas run side by side in blocks, so that a compiler can make vector instructions of every loop over lanes. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 128
#define EACH for (int lane = 0; lane < LANES; lane++)
#define DATA 1
#define STEP 3
#define RETRY 65536
#define SPAN 16

typedef double lanes[LANES] __attribute__((aligned(64)));
typedef float singles[4][LANES] __attribute__((aligned(64)));
typedef uint32_t words[4][LANES] __attribute__((aligned(64)));

static inline int64_t bits(double x) { int64_t i; memcpy(&i, &x, 8); return i; }
static inline double float_of(int64_t i) { double x; memcpy(&x, &i, 8); return x; }

#define MIX(a, b, r) { a += b; b = (b << r) | (b >> (32 - r)); b ^= a; }
#define EVEN MIX(x0, x1, 10) MIX(x2, x3, 26) MIX(x0, x3, 11) MIX(x2, x1, 21) \
             MIX(x0, x1, 13) MIX(x2, x3, 27) MIX(x0, x3, 23) MIX(x2, x1, 5)
#define ODD MIX(x0, x1, 6) MIX(x2, x3, 20) MIX(x0, x3, 17) MIX(x2, x1, 11) \
            MIX(x0, x1, 25) MIX(x2, x3, 10) MIX(x0, x3, 18) MIX(x2, x1, 20)
#define INJECT(a, b, c, d, n) { x0 += a; x1 += b; x2 += c; x3 += d + n; }

static inline void one_threefry(const uint32_t k[4], uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3,
                                uint32_t *y0, uint32_t *y1, uint32_t *y2, uint32_t *y3)
{
    uint32_t k0 = k[0], k1 = k[1], k2 = k[2], k3 = k[3], k4 = 0x1BD11BDA ^ k0 ^ k1 ^ k2 ^ k3;
    INJECT(k0, k1, k2, k3, 0) EVEN
    INJECT(k1, k2, k3, k4, 1) ODD
    INJECT(k2, k3, k4, k0, 2) EVEN
    INJECT(k3, k4, k0, k1, 3) ODD
    INJECT(k4, k0, k1, k2, 4) EVEN
    INJECT(k0, k1, k2, k3, 5)
    *y0 = x0; *y1 = x1; *y2 = x2; *y3 = x3;
}

/* for the test against known answers */
void threefry(const uint32_t key[4], const uint32_t at[4], uint32_t out[4])
{
    one_threefry(key, at[0], at[1], at[2], at[3], out, out + 1, out + 2, out + 3);
}

/* xoshiro128++, a stream for every lane */
static inline uint32_t advance(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    uint32_t total = *a + *d, word = ((total << 7) | (total >> 25)) + *a, shifted = *b << 9;
    *c ^= *a;
    *d ^= *b;
    *b ^= *c;
    *a ^= *d;
    *c ^= shifted;
    *d = (*d << 11) | (*d >> 21);
    return word;
}

/* for the test against known answers */
uint32_t xoshiro(uint32_t state[4]) { return advance(state, state + 1, state + 2, state + 3); }

static inline double uniform(uint32_t a, uint32_t b)
{
    return (double)(int32_t)(a >> 5) * 0x1p-27 + (double)(int32_t)(b >> 6) * 0x1p-53;
}

static inline double log_of_positive(double x)
{
    int64_t shifted = bits(x) + 0x95F619980C433;
    double k = float_of(((shifted >> 52) & 0xFFF) | 0x4330000000000000) - 4503599627371519.0;
    double f = float_of((shifted & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0, s = f / (2.0 + f), z = s * s;
    double p = 0.15331721600556042 + z * 0.14616449685043406;
    p = 0.18182889125261723 + z * p;
    p = 0.2222221113479508 + z * p;
    p = 0.28571428625975487 + z * p;
    p = 0.39999999999899505 + z * p;
    p = 0.666666666666667 + z * p;
    return k * 0.6931471805599453 + s * (2.0 + z * p);
}

static inline void half_turn(double angle, double *cosine, double *sine)
{
    double z = angle * angle;
    double s = -7.643026557971632e-13 + z * 2.7215749922983443e-15;
    s = 1.605894087848656e-10 + z * s;
    s = -2.505210689056952e-08 + z * s;
    s = 2.7557319211229606e-06 + z * s;
    s = -0.00019841269841208676 + z * s;
    s = 0.008333333333333186 + z * s;
    s = -0.16666666666666666 + z * s;
    double c = -1.1464689885720029e-11 + z * 4.6276759850181716e-14;
    c = 2.0876630867422994e-09 + z * c;
    c = -2.755731776732053e-07 + z * c;
    c = 2.4801587292446213e-05 + z * c;
    c = -0.0013888888888860709 + z * c;
    c = 0.04166666666666634 + z * c;
    c = -0.5 + z * c;
    *cosine = 1.0 + z * c;
    *sine = angle + angle * z * s;
}

static inline double half_square(uint32_t x, uint32_t y) { return log_of_positive(1.0 - uniform(x, y)); }

static inline void normals(double half, uint32_t x, uint32_t z, double *a, double *b)
{
    double radius = sqrt(-2.0 * half), c, s;
    half_turn((double)(int32_t)z * 7.314590396880234e-10, &c, &s);
    *a = float_of(bits(radius * c) ^ ((int64_t)(x & 1) << 63));
    *b = radius * s;
}

static inline int32_t bits32(float x) { int32_t i; memcpy(&i, &x, 4); return i; }
static inline float single_of(int32_t i) { float x; memcpy(&x, &i, 4); return x; }

static inline void normals_single(uint32_t x, uint32_t y, float *a, float *b)
{
    float u = (float)(int32_t)(x >> 1) * 4.656612873077393e-10f + 2.3283064365386963e-10f;
    int32_t shifted = bits32(u) + 0x4AFB0D;
    float k = (float)((shifted >> 23) - 127), f = single_of((shifted & 0x7FFFFF) + 0x3F3504F3) - 1.0f;
    float v = f / (2.0f + f), z = v * v;
    float p = 0.28550820815960665f + z * 0.23330467216303835f;
    p = 0.40000121839806124f + z * p;
    p = 0.6666666655449709f + z * p;
    float radius = sqrtf(-2.0f * (k * 0.6931471805599453f + v * (2.0f + z * p)));
    float angle = (float)(int32_t)y * 7.314590396880234e-10f;
    z = angle * angle;
    float s = -0.00019809017408678003f + z * 2.605107635334788e-06f;
    s = 0.008333050170671773f + z * s;
    s = -0.16666657947846011f + z * s;
    float c = 2.4774579745194932e-05f + z * -2.6297517416492886e-07f;
    c = -0.001388865164726139f + z * c;
    c = 0.04166665936002493f + z * c;
    c = -0.49999999963953023f + z * c;
    *a = single_of(bits32(radius * (1.0f + z * c)) ^ (int32_t)((x & 1) << 31));
    *b = radius * (angle + angle * z * s);
}

static inline void begin_stream(const uint32_t key[4], uint32_t base, uint32_t step, uint32_t stream, words state)
{
    EACH one_threefry(key, base + lane, step, 0, stream, &state[0][lane], &state[1][lane], &state[2][lane],
                      &state[3][lane]);
}

static inline void draw_words(words state, int count, words x)
{
    EACH {
        uint32_t a = state[0][lane], b = state[1][lane], c = state[2][lane], d = state[3][lane];
        x[0][lane] = advance(&a, &b, &c, &d);
        x[1][lane] = advance(&a, &b, &c, &d);
        if (count == 3) x[2][lane] = advance(&a, &b, &c, &d);
        state[0][lane] = a;
        state[1][lane] = b;
        state[2][lane] = c;
        state[3][lane] = d;
    }
}

static inline void fill_normals(words state, words x, lanes a, lanes b)
{
    draw_words(state, 3, x);
    EACH a[lane] = half_square(x[0][lane], x[1][lane]);
    EACH { double n, m; normals(a[lane], x[0][lane], x[2][lane], &n, &m); a[lane] = n; b[lane] = m; }
}

static inline double chi_square_trial(double z, double u, double dof)
{
    double d = 0.5 * dof - 0.3333333333333333, v = 1.0 + z / sqrt(9.0 * d);
    v = v * v * v;
    int positive = v > 0.0;
    double log_v = log_of_positive(positive ? v : 1.0);
    int accepted = positive & (log_of_positive(1.0 - u) < 0.5 * z * z + d - d * v + d * log_v);
    return accepted ? 2.0 * d * v : -1.0;
}

static double chi_square_again(const uint32_t key[4], uint32_t replica, uint32_t step, double dof)
{
    double found = -1.0;
    for (uint32_t trial = RETRY; found < 0.0; trial += 2) {
        uint32_t x[4], y[4];
        double z, unused;
        one_threefry(key, replica, step, trial, DATA, x, x + 1, x + 2, x + 3);
        one_threefry(key, replica, step, trial + 1, DATA, y, y + 1, y + 2, y + 3);
        normals(half_square(x[0], x[1]), x[0], x[2], &z, &unused);
        found = chi_square_trial(z, uniform(y[0], y[1]), dof);
    }
    return found;
}

static inline void descend(double *w1, double *w2, double xx, double xy, double lr)
{
    double a = *w1, b = *w2, error = (a * b * b * xx - xy) * lr;
    *w1 = a - error * b * b;
    *w2 = b - error * (2.0 * a * b);
}

static void finish(const double *w, double *out, int64_t top, int64_t replicas, int coordinate, int width)
{
    for (int64_t lane = 0; lane < LANES && top + lane < replicas; lane++)
        out[(top + lane) * width + coordinate] = w[lane];
}

static inline void fill_single_normals(words state, words x, singles n)
{
    draw_words(state, 2, x);
    EACH normals_single(x[0][lane], x[1][lane], &n[0][lane], &n[1][lane]);
}

static inline void examples_of(int single, const uint32_t key[4], int64_t replicas, int64_t steps, int64_t batch,
                               double lr, const double start[2], double *out)
{
    lanes w1, w2, xx, xy, n0, n1;
    words state, x;
    singles n;
    for (int64_t top = 0; top < replicas; top += LANES) {
        EACH { w1[lane] = start[0]; w2[lane] = start[1]; }
        for (int64_t step = 1; step <= steps; step++) {
            begin_stream(key, top, step, DATA, state);
            EACH xx[lane] = xy[lane] = 0.0;
            for (int64_t b = 0; b < batch; b++) {
                if (single) {
                    fill_single_normals(state, x, n);
                    EACH { double a = n[0][lane]; xx[lane] += a * a; xy[lane] += a * n[1][lane]; }
                } else {
                    fill_normals(state, x, n0, n1);
                    EACH { xx[lane] += n0[lane] * n0[lane]; xy[lane] += n0[lane] * n1[lane]; }
                }
            }
            EACH descend(&w1[lane], &w2[lane], xx[lane] / batch, xy[lane] / batch, lr);
        }
        finish(w1, out, top, replicas, 0, 2);
        finish(w2, out, top, replicas, 1, 2);
    }
}

static inline void sums_of(int single, const uint32_t key[4], int64_t replicas, int64_t steps, int64_t batch,
                           double lr, const double start[2], double *out)
{
    lanes w1, w2, chi, n0, n1;
    words state, x;
    singles n;
    for (int64_t top = 0; top < replicas; top += LANES) {
        EACH { w1[lane] = start[0]; w2[lane] = start[1]; }
        for (int64_t step = 1; step <= steps; step++) {
            if ((step - 1) % SPAN == 0) begin_stream(key, top, step, DATA, state);
            if (single) {
                fill_single_normals(state, x, n);
                EACH { n0[lane] = n[0][lane]; n1[lane] = n[1][lane]; }
            } else
                fill_normals(state, x, n0, n1);
            draw_words(state, 2, x);
            EACH chi[lane] = chi_square_trial(n1[lane], uniform(x[0][lane], x[1][lane]), batch);
            EACH if (chi[lane] < 0.0) chi[lane] = chi_square_again(key, top + lane, step, batch);
            EACH descend(&w1[lane], &w2[lane], chi[lane] / batch, n0[lane] * sqrt(chi[lane]) / batch, lr);
        }
        finish(w1, out, top, replicas, 0, 2);
        finish(w2, out, top, replicas, 1, 2);
    }
}

static inline void langevin_of(int single, const uint32_t key[4], int64_t replicas, int64_t steps, double lr,
                               double temperature, double start, double *out)
{
    double kick = sqrt(2.0 * lr * temperature);
    lanes w, noise[2];
    words state, x;
    singles n;
    for (int64_t top = 0; top < replicas; top += LANES) {
        EACH w[lane] = start;
        for (int64_t step = 1; step <= steps; step++) {
            int late = (step - 1) % 2; /* a pair of normals is the noise of two steps */
            if ((step - 1) % SPAN == 0) begin_stream(key, top, step, STEP, state);
            if (!late && single) {
                fill_single_normals(state, x, n);
                EACH { noise[0][lane] = n[0][lane]; noise[1][lane] = n[1][lane]; }
            } else if (!late)
                fill_normals(state, x, noise[0], noise[1]);
            EACH { double a = w[lane]; w[lane] = a - lr * (a * a * a - a) + kick * noise[late][lane]; }
        }
        finish(w, out, top, replicas, 0, 1);
    }
}

#define DESCENT(name, body, single) \
    void name(const uint32_t key[4], int64_t replicas, int64_t steps, int64_t batch, double lr, \
              const double start[2], double *out) { body(single, key, replicas, steps, batch, lr, start, out); }
#define WELL(name, single) \
    void name(const uint32_t key[4], int64_t replicas, int64_t steps, double lr, double temperature, double start, \
              double *out) { langevin_of(single, key, replicas, steps, lr, temperature, start, out); }

DESCENT(examples_float64, examples_of, 0)
DESCENT(examples_float32, examples_of, 1)
DESCENT(sums_float64, sums_of, 0)
DESCENT(sums_float32, sums_of, 1)
WELL(langevin_float64, 0)
WELL(langevin_float32, 1)
