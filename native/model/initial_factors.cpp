#include "model/initial_factors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random_streams.h"
#include "base/rng.h"

namespace lowrank {

namespace {

constexpr const char* kIterations = "pissa_niter_";
constexpr double kResidual = 1e-11;  // of an eigenvector, relative to the largest eigenvalue

using Vector = std::vector<double>;
using Vectors = std::vector<Vector>;

struct Matrix {
  std::vector<float> data;
  int64_t rows = 0, cols = 0;
  const float* row(int64_t r) const { return data.data() + r * cols; }
};

template <class T>
double dot(const T* a, const double* b, int64_t n) {
  constexpr int64_t kLanes = 8;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t j = 0; j < kLanes; j++) sums[j] += double(a[i + j]) * b[i + j];
  }
  for (; i < n; i++) sums[0] += double(a[i]) * b[i];
  return std::accumulate(sums, sums + kLanes, 0.0);
}

double norm(const Vector& v) { return std::sqrt(dot(v.data(), v.data(), int64_t(v.size()))); }

Vector product(const Matrix& w, const Vector& x) {  // W x
  Vector y(static_cast<size_t>(w.rows));
  for (int64_t r = 0; r < w.rows; r++) y[size_t(r)] = dot(w.row(r), x.data(), w.cols);
  return y;
}

Vector product_of_transposed(const Matrix& w, const Vector& x) {  // W^T x
  Vector y(static_cast<size_t>(w.cols));
  for (int64_t r = 0; r < w.rows; r++) {
    const float* row = w.row(r);
    const double f = x[size_t(r)];
    for (int64_t c = 0; c < w.cols; c++) y[size_t(c)] += f * double(row[c]);
  }
  return y;
}

class Random {
 public:
  Random(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  Vector vector(int64_t n) {  // uniform in +-1
    Vector v(static_cast<size_t>(n));
    for (double& x : v) x = 2 * double(uniform01(philox_word(seed_, stream_, next_++))) - 1;
    return v;
  }

 private:
  uint64_t seed_, stream_, next_ = 0;
};

// v becomes orthogonal to the basis; what is left of its norm. Twice, for once leaves what rounding added.
double make_orthogonal(Vector& v, const Vectors& basis) {
  for (int pass = 0; pass < 2; pass++) {
    for (const Vector& b : basis) {
      const double f = dot(v.data(), b.data(), int64_t(v.size()));
      for (size_t i = 0; i < v.size(); i++) v[i] -= f * b[i];
    }
  }
  return norm(v);
}

// The basis has one vector more: v's part that is new, or a random one where v has none. That part's norm.
double extend(Vectors& basis, Vector v, double negligible, Random& random) {
  double left = make_orthogonal(v, basis);
  const bool is_new = left > negligible;
  const double found = is_new ? left : 0;
  if (!is_new) {
    v = random.vector(int64_t(v.size()));
    left = make_orthogonal(v, basis);
  }
  for (double& x : v) x /= left;
  basis.push_back(std::move(v));
  return found;
}

Vectors orthonormal(Vectors columns, Random& random) {
  Vectors basis;
  for (Vector& c : columns) {
    const double negligible = 1e-12 * norm(c);
    extend(basis, std::move(c), negligible, random);
  }
  return basis;
}

// sqrt(a^2 + b^2) without overflow. std::hypot has other bits in older C libraries.
double length(double a, double b) {
  const double most = std::max(std::abs(a), std::abs(b));
  if (most == 0) return 0;
  a /= most, b /= most;
  return most * std::sqrt(a * a + b * b);
}

// Eigenvalues and, in rows of z, eigenvectors of a symmetric tridiagonal matrix by the implicit QL method.
// d: its diagonal, then the eigenvalues. e[i]: its element beside d[i] and d[i + 1].
void eigen(Vector& d, Vector e, Vector& z) {
  const size_t n = d.size();
  e.resize(n);
  e[n - 1] = 0;
  z.assign(n * n, 0);
  for (size_t i = 0; i < n; i++) z[i * n + i] = 1;
  for (size_t l = 0; l < n; l++) {
    while (true) {
      size_t m = l;
      while (m + 1 < n && std::abs(e[m]) > std::numeric_limits<double>::epsilon() * (std::abs(d[m]) + std::abs(d[m + 1]))) m++;
      if (m == l) break;
      double g = (d[l + 1] - d[l]) / (2 * e[l]), r = length(g, 1), s = 1, c = 1, p = 0;
      g = d[m] - d[l] + e[l] / (g + std::copysign(r, g));
      size_t i = m;
      while (i > l) {
        i--;
        const double f = s * e[i], b = c * e[i];
        e[i + 1] = r = length(f, g);
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        double *const lower = z.data() + i * n, *const upper = lower + n;
        for (size_t k = 0; k < n; k++) {
          const double x = upper[k];
          upper[k] = s * lower[k] + c * x;
          lower[k] = c * lower[k] - s * x;
        }
        if (i == l) {
          d[l] -= p;
          e[l] = g;
          e[m] = 0;
        }
      }
    }
  }
}

// The eigenvectors of the largest eigenvalues of a symmetric matrix (n, n) by Lanczos' method, with vectors that are kept orthogonal.
// product: of the matrix and a vector
template <class Product>
Vectors leading(const Product& product, int64_t n, int64_t count, Random& random) {
  Vectors basis;
  Vector alpha, beta;
  double largest = 0;
  extend(basis, random.vector(n), 0, random);
  for (int64_t next_look = std::min(n, 4 * count + 32);;) {
    const int64_t k = int64_t(basis.size());
    Vector w = product(basis.back());
    alpha.push_back(dot(w.data(), basis.back().data(), n));
    largest = std::max(largest, alpha.back());
    beta.push_back(k < n ? extend(basis, std::move(w), 1e-14 * largest, random) : 0);
    if (k < next_look) continue;
    Vector values = alpha, z;
    eigen(values, beta, z);
    std::vector<size_t> order(static_cast<size_t>(k));
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] > values[j]; });
    order.resize(size_t(count));
    const auto vector = [&](size_t i) { return z.data() + i * size_t(k); };
    const bool is_done = std::all_of(order.begin(), order.end(), [&](size_t i) {
      return std::abs(beta.back() * vector(i)[k - 1]) <= kResidual * values[order[0]];
    });
    if (!is_done && k < n) {
      next_look = std::min(n, k + k / 2);
      continue;
    }
    Vectors found;
    for (const size_t i : order) {
      Vector& v = found.emplace_back(static_cast<size_t>(n));
      for (int64_t j = 0; j < k; j++) {
        const double f = vector(i)[j];
        for (int64_t x = 0; x < n; x++) v[size_t(x)] += f * basis[size_t(j)][size_t(x)];
      }
    }
    return found;
  }
}

// u_j sqrt(s_j) and v_j sqrt(s_j) of the largest singular values.
struct Triplets {
  Vectors left, right;
};

Triplets singular(const Matrix& w, int64_t count, Random& random) {
  const bool tall = w.rows >= w.cols;
  const auto to_other = [&](const Vector& x) { return tall ? product(w, x) : product_of_transposed(w, x); };
  const auto squared = [&](const Vector& x) { return tall ? product_of_transposed(w, product(w, x)) : product(w, product_of_transposed(w, x)); };
  Vectors near = leading(squared, std::min(w.rows, w.cols), count, random), far;
  for (Vector& v : near) {
    Vector& y = far.emplace_back(to_other(v));
    const double root = std::sqrt(norm(y));
    for (double& x : v) x *= root;
    for (double& x : y) x = root > 0 ? x / root : 0;
  }
  return tall ? Triplets{std::move(far), std::move(near)} : Triplets{std::move(near), std::move(far)};
}

Triplets iterated(const Matrix& w, int64_t count, int64_t iterations, Random& random) {
  Vectors q(static_cast<size_t>(count));
  const auto each = [&](const auto& f) {
    for (Vector& v : q) v = f(v);
    q = orthonormal(std::move(q), random);
  };
  each([&](const Vector&) { return product(w, random.vector(w.cols)); });
  for (int64_t i = 0; i < iterations; i++) {
    each([&](const Vector& v) { return product_of_transposed(w, v); });
    each([&](const Vector& v) { return product(w, v); });
  }
  Matrix small{{}, count, w.cols};  // Q^T W
  for (const Vector& v : q) {
    const Vector row = product_of_transposed(w, v);
    small.data.insert(small.data.end(), row.begin(), row.end());
  }
  Triplets t = singular(small, count, random);
  for (Vector& left : t.left) {
    Vector whole(static_cast<size_t>(w.rows));
    for (size_t j = 0; j < left.size(); j++) {
      for (size_t i = 0; i < whole.size(); i++) whole[i] += left[j] * q[j][i];
    }
    left = std::move(whole);
  }
  return t;
}

Triplets orthogonal_triangular(const Matrix& w, int64_t count, Random& random) {
  Vectors columns;
  for (int64_t c = 0; c < count; c++) {
    Vector& v = columns.emplace_back(static_cast<size_t>(w.rows));
    for (int64_t r = 0; r < w.rows; r++) v[size_t(r)] = double(w.row(r)[c]);
  }
  Triplets t{orthonormal(std::move(columns), random), {}};
  for (const Vector& q : t.left) t.right.push_back(product_of_transposed(w, q));
  return t;
}

}  // namespace

bool is_initial_factors_method(const std::string& method) {
  if (method == "pissa" || method == "olora") return true;
  if (!method.starts_with(kIterations)) return false;
  const std::string n = method.substr(std::string(kIterations).size());
  return !n.empty() && n.size() <= 4 && std::all_of(n.begin(), n.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int64_t initial_factors_bytes(const std::string& method, int64_t out, int64_t in, int64_t rank) {
  const int64_t vectors = rank * (out + in), weight = 4 * out * in;
  // A basis that spans the whole smaller side, as many eigenvectors, and the vectors that are found.
  const auto lanczos = [](int64_t n, int64_t m, int64_t count) { return 8 * (2 * n * n + count * (n + m) + 8 * (n + m)); };
  if (method == "olora") return weight + 8 * vectors;
  if (method == "pissa") return weight + lanczos(std::min(out, in), std::max(out, in), rank);
  return weight + 8 * (2 * vectors) + 4 * rank * in + lanczos(std::min(rank, in), std::max(rank, in), rank);
}

InitialFactors initial_factors(const StoredWeight& stored, const std::string& method, int64_t rank, float scale, uint64_t seed, uint64_t site) {
  const auto [rows, cols] = std::pair(stored.weight.rows, stored.weight.cols);
  Matrix whole{std::vector<float>(size_t(rows * cols)), rows, cols};
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) whole.data[size_t(r * cols + c)] = stored.get(r, c);
  }
  Random random(seed, streams::kInitialFactors + site);
  Triplets t;
  if (method == "olora") t = orthogonal_triangular(whole, rank, random);
  else if (method == "pissa") t = singular(whole, rank, random);
  else t = iterated(whole, rank, std::stoll(method.substr(std::string(kIterations).size())), random);
  // OLoRA leaves the scale to the residual, as PEFT does.
  const double factor = method == "olora" ? 1 : 1 / std::sqrt(double(scale));
  InitialFactors f{std::vector<float>(size_t(rank * cols)), std::vector<float>(size_t(rows * rank))};
  for (size_t j = 0; j < size_t(rank); j++) {
    for (size_t i = 0; i < size_t(cols); i++) f.a[j * size_t(cols) + i] = float(factor * t.right[j][i]);
    for (size_t o = 0; o < size_t(rows); o++) f.b[o * size_t(rank) + j] = float(factor * t.left[j][o]);
  }
  return f;
}

}  // namespace lowrank
