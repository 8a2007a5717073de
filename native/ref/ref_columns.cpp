// Columns and rows of a linear's output: DoRA, biases of B, dropout, noise.
#include <cmath>

#include "ref/ref_backend.h"

namespace lowrank {

void RefBackend::do_columns_fwd(const ColumnsFwdArgs& a) {
  for (int64_t m = 0; m < a.y.rows; m++) {
    for (int64_t o = 0; o < a.y.cols; o++) {
      double sum = a.accumulate ? double(a.y.get(m, o)) : 0.0;
      if (a.z) sum += double(a.factor[o]) * double(a.z.get(m, o));
      if (a.bias) sum += double(a.bias_scale) * double(a.bias[o]);
      a.y.set(m, o, float(sum));
    }
  }
}

// y = f z + s bias with f = magnitude / norm, norm a constant.
void RefBackend::do_columns_bwd(const ColumnsBwdArgs& a) {
  for (int64_t o = 0; o < a.dy.cols; o++) {
    double through_z = 0, sum = 0;
    for (int64_t m = 0; m < a.dy.rows; m++) {
      sum += double(a.dy.get(m, o));
      if (!a.z) continue;
      through_z += double(a.dy.get(m, o)) * double(a.z.get(m, o));
      a.z.set(m, o, float(double(a.factor[o]) * double(a.dy.get(m, o))));
    }
    if (a.z) a.dmagnitude[o] = float(double(a.dmagnitude[o]) + through_z / double(a.norm[o]));
    if (a.dbias) a.dbias[o] = float(double(a.dbias[o]) + double(a.bias_scale) * sum);
  }
}

void RefBackend::do_row_norms(const RowNormsArgs& a) {
  for (int64_t o = 0; o < a.w.rows; o++) {
    double squares = 0;
    for (int64_t i = 0; i < a.w.cols; i++) {
      double v = 0;
      for (int64_t r = 0; r < a.lora.rank; r++) v += double(a.lora.b[o * a.lora.rank + r]) * double(a.lora.a[r * a.w.cols + i]);
      v = double(a.w.get(o, i)) + double(a.lora.scale) * v;
      squares += v * v;
    }
    a.norm[o] = float(std::sqrt(squares));
    if (a.magnitude) a.factor[o] = float(double(a.magnitude[o]) / std::sqrt(squares));
  }
}

void RefBackend::do_dropout(const DropoutArgs& a) {
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t c = 0; c < a.x.cols; c++) {
      const double x = double(a.x.get(m, c)), kept = a.dropout.keep(uint64_t(m * a.x.cols + c)) ? x / (1 - double(a.dropout.p)) : 0;
      a.y.set(m, c, float((a.accumulate ? double(a.y.get(m, c)) : 0.0) + (a.rest ? x - kept : kept)));
    }
  }
}

void RefBackend::do_add_noise(const NoiseArgs& a) {
  for (int64_t m = 0; m < a.x.rows; m++) {
    for (int64_t c = 0; c < a.x.cols; c++) {
      const uint64_t j = a.offset + uint64_t(m * a.x.cols + c);
      const double u = double(uniform01(philox(a.seed, a.stream, j / 4)[j % 4]));
      a.x.set(m, c, float(double(a.x.get(m, c)) + double(a.size) * (2 * u - 1)));
    }
  }
}

}  // namespace lowrank
