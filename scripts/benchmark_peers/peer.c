/* The work of task.py by hand in C, with the random numbers of sgdtheory/kernels/random.py: Threefry-4x32-20 addressed
   by (replica, step, slot, stream), Box and Muller in float64 without calls, Marsaglia and Tsang for chi square.
   Replicas run side by side in blocks, so that a compiler can make vector instructions of every loop over lanes. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 128
#define EACH for (int lane = 0; lane < LANES; lane++)
#define DATA 1
#define STEP 3
#define RETRY 65536

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

static inline double uniform(uint32_t a, uint32_t b)
{
    return ((double)(a >> 5) * 67108864.0 + (double)(b >> 6)) * 0x1p-53;
}

static inline double log_of_positive(double x)
{
    int64_t shifted = bits(x) + 0x95F619980C433;
    double k = (double)((shifted >> 52) - 1023);
    double f = float_of((shifted & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0;
    double s = f / (2.0 + f), z = s * s, w = z * z;
    double even = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373));
    double odd = z * (0.6666666666666735
                      + w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586)));
    double half = 0.5 * f * f;
    return k * 0.6931471803691238 - ((half - (s * (half + (even + odd)) + k * 1.9082149292705877e-10)) - f);
}

static inline void turn(double u, double *cosine, double *sine)
{
    double quarter = (4.0 * u + 6755399441055744.0) - 6755399441055744.0;
    double a = (u - 0.25 * quarter) * 6.283185307179586, z = a * a;
    double s = 2.7557319223985893e-06
        + z * (-2.505210838544172e-08 + z * (1.6059043836821613e-10 + z * -7.647163731819816e-13));
    s = a + a * z * (-0.16666666666666666
                     + z * (0.008333333333333333 + z * (-0.0001984126984126984 + z * s)));
    double c = -2.755731922398589e-07
        + z * (2.08767569878681e-09 + z * (-1.1470745597729725e-11 + z * 4.779477332387385e-14));
    c = 1.0 + z * (-0.5 + z * (0.041666666666666664
                               + z * (-0.001388888888888889 + z * (2.48015873015873e-05 + z * c))));
    int swapped = (quarter == 1.0) | (quarter == 3.0);
    double x = swapped ? s : c, y = swapped ? c : s;
    *cosine = ((quarter == 1.0) | (quarter == 2.0)) ? -x : x;
    *sine = ((quarter == 2.0) | (quarter == 3.0)) ? -y : y;
}

static inline void normals(uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3, double *a, double *b)
{
    double radius = sqrt(-2.0 * log_of_positive(1.0 - uniform(x0, x1))), c, s;
    turn(uniform(x2, x3), &c, &s);
    *a = radius * c;
    *b = radius * s;
}

static inline int32_t bits32(float x) { int32_t i; memcpy(&i, &x, 4); return i; }
static inline float single_of(int32_t i) { float x; memcpy(&x, &i, 4); return x; }

static inline float log_of_single(float x)
{
    int32_t shifted = bits32(x) + 0x4AFB0D;
    float k = (float)((shifted >> 23) - 127), f = single_of((shifted & 0x7FFFFF) + 0x3F3504F3) - 1.0f;
    float s = f / (2.0f + f), z = s * s, w = z * z;
    float r = z * (0.66666662693f + w * 0.28498786688f) + w * (0.40000972152f + w * 0.24279078841f);
    float half = 0.5f * f * f;
    return s * (half + r) + k * 9.0580006145e-06f - half + f + k * 0.69313812256f;
}

static inline void turn_of_single(float u, float *cosine, float *sine)
{
    float quarter = (4.0f * u + 12582912.0f) - 12582912.0f, a = (u - 0.25f * quarter) * 6.283185307179586f, z = a * a;
    float s = a + a * z * (-0.16666667f + z * (0.008333333f + z * (-0.00019841270f + z * 2.7557319e-06f)));
    float c = 0.041666668f + z * (-0.0013888889f + z * (2.4801587e-05f + z * -2.7557319e-07f));
    c = 1.0f + z * (-0.5f + z * c);
    int swapped = (quarter == 1.0f) | (quarter == 3.0f);
    float x = swapped ? s : c, y = swapped ? c : s;
    *cosine = ((quarter == 1.0f) | (quarter == 2.0f)) ? -x : x;
    *sine = ((quarter == 2.0f) | (quarter == 3.0f)) ? -y : y;
}

static inline void normals_single(uint32_t x, uint32_t y, float *a, float *b)
{
    float u = (float)x * 2.3283064365386963e-10f + 1.1641532182693481e-10f, c, s;
    float radius = sqrtf(-2.0f * log_of_single(u));
    turn_of_single((float)(y >> 8) * 5.960464477539063e-08f, &c, &s);
    *a = radius * c;
    *b = radius * s;
}

static inline void fill_words(const uint32_t key[4], uint32_t base, uint32_t step, uint32_t slot, uint32_t stream,
                              words x)
{
    EACH one_threefry(key, base + lane, step, slot, stream, &x[0][lane], &x[1][lane], &x[2][lane], &x[3][lane]);
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
        normals(x[0], x[1], x[2], x[3], &z, &unused);
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

/* noise of float32 grade: four normals from four words, all in 32 bits; the state stays float64 */
#define SINGLE_PAIR(n, x, i) EACH normals_single(x[i][lane], x[i + 1][lane], &n[i][lane], &n[i + 1][lane]);

static inline void examples_of(int single, const uint32_t key[4], int64_t replicas, int64_t steps, int64_t batch,
                               double lr, const double start[2], double *out)
{
    lanes w1, w2, xx, xy;
    words x;
    singles n;
    for (int64_t top = 0; top < replicas; top += LANES) {
        EACH { w1[lane] = start[0]; w2[lane] = start[1]; }
        for (int64_t step = 1; step <= steps; step++) {
            EACH xx[lane] = xy[lane] = 0.0;
            for (int64_t b = 0; b < batch; b += single ? 2 : 1) {
                fill_words(key, top, step, single ? b / 2 : b, DATA, x);
                if (single) {
                    SINGLE_PAIR(n, x, 0)
                    EACH { double a = n[0][lane]; xx[lane] += a * a; xy[lane] += a * n[1][lane]; }
                    if (b + 1 == batch) break;
                    SINGLE_PAIR(n, x, 2)
                    EACH { double a = n[2][lane]; xx[lane] += a * a; xy[lane] += a * n[3][lane]; }
                } else EACH {
                    double n0, n1;
                    normals(x[0][lane], x[1][lane], x[2][lane], x[3][lane], &n0, &n1);
                    xx[lane] += n0 * n0;
                    xy[lane] += n0 * n1;
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
    words x, y;
    singles n;
    for (int64_t top = 0; top < replicas; top += LANES) {
        EACH { w1[lane] = start[0]; w2[lane] = start[1]; }
        for (int64_t step = 1; step <= steps; step++) {
            fill_words(key, top, step, 0, DATA, x);
            fill_words(key, top, step, 1, DATA, y);
            if (single) {
                SINGLE_PAIR(n, x, 0)
                EACH { n0[lane] = n[0][lane]; n1[lane] = n[1][lane]; }
            } else
                EACH normals(x[0][lane], x[1][lane], x[2][lane], x[3][lane], &n0[lane], &n1[lane]);
            EACH chi[lane] = chi_square_trial(n1[lane], uniform(y[0][lane], y[1][lane]), batch);
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
    lanes w;
    words x;
    singles n;
    for (int64_t top = 0; top < replicas; top += LANES) {
        EACH w[lane] = start;
        for (int64_t step = 1; step <= steps; step++) {
            fill_words(key, top, step, 0, STEP, x);
            if (single) SINGLE_PAIR(n, x, 0)
            EACH {
                double n0, n1, a = w[lane];
                if (single) n0 = n[0][lane];
                else normals(x[0][lane], x[1][lane], x[2][lane], x[3][lane], &n0, &n1);
                w[lane] = a - lr * (a * a * a - a) + kick * n0;
            }
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
