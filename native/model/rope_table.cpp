#include "model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lowrank {

namespace {

// Frequency of each pair. Every step is rounded to f32 as transformers rounds it: a last bit of a frequency is multiplied by
// the position, and there are texts on which the difference shows in the gradient.
std::vector<float> inverse_frequencies(const RopeSpec& rope, int64_t rotary_dim, int64_t length) {
  const RopeScaling& s = rope.scaling;
  const int64_t half = rotary_dim / 2;
  double base = rope.theta;
  if (s.type == RopeScaling::Type::dynamic) {
    // NTK-aware scaling: the base grows once a sequence is longer than the trained context.
    const double trained = double(s.original_max_positions);
    const double seen = std::max(double(length), trained), d = double(rotary_dim);
    base *= std::pow(s.factor * seen / trained - (s.factor - 1), d / (d - 2));
  }
  std::vector<float> frequencies(static_cast<size_t>(half));
  for (int64_t i = 0; i < half; i++) {
    const float exponent = float(2 * i) / float(rotary_dim);
    float f = 1.f / float(std::pow(double(float(base)), double(exponent)));
    const float factor = float(s.factor);
    if (s.type == RopeScaling::Type::linear) f /= factor;
    if (s.type == RopeScaling::Type::longrope) {
      const auto& factors = double(length) > s.original_max_positions ? s.long_factors : s.short_factors;
      f = 1.f / (float(factors[size_t(i)]) * float(std::pow(double(float(base)), double(exponent))));
    }
    if (s.type == RopeScaling::Type::yarn) {
      // Low dimensions keep their wavelengths, high ones are stretched, a ramp lies between (Peng et al., 2023).
      const auto dimension = [&](double rotations) {
        return double(rotary_dim) * std::log(s.original_max_positions / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
      };
      double low = dimension(s.beta_fast), high = dimension(s.beta_slow);
      if (s.truncate) low = std::floor(low), high = std::ceil(high);
      low = std::max(low, 0.0), high = std::min(high, double(rotary_dim - 1));
      if (low == high) high += 0.001;
      const float kept = 1 - std::clamp((float(i) - float(low)) / float(high - low), 0.f, 1.f);
      f = 1.f / (factor * float(std::pow(double(float(base)), double(exponent)))) * (1 - kept) + f * kept;
    }
    if (s.type == RopeScaling::Type::llama3) {
      // Long wavelengths are stretched by the factor, short ones kept, wavelengths between them interpolated (Llama
      // 3.1).
      const double trained = double(s.original_max_positions);
      const float wave = 1.f / f * float(2 * std::numbers::pi);  // torch divides a number by a tensor like this
      if (wave > float(trained / s.low_freq_factor)) {
        f /= factor;
      } else if (wave >= float(trained / s.high_freq_factor)) {
        const float smooth = (1.f / wave * float(trained) - float(s.low_freq_factor)) / float(s.high_freq_factor - s.low_freq_factor);
        f = (1 - smooth) * f / factor + smooth * f;
      }
    }
    frequencies[size_t(i)] = f;
  }
  return frequencies;
}

}  // namespace

RopeTable::RopeTable(const RopeSpec& spec, int64_t rotary_dim, int64_t positions, int64_t length)
    : cos(size_t(positions * rotary_dim / 2)), sin(cos.size()) {
  const auto frequencies = inverse_frequencies(spec, rotary_dim, length);
  const float factor = float(spec.scaling.attention_factor);
  const size_t half = frequencies.size();
  for (size_t p = 0; p < size_t(positions); p++) {
    for (size_t i = 0; i < half; i++) {
      const float angle = float(p) * frequencies[i];
      cos[p * half + i] = float(std::cos(double(angle))) * factor;
      sin[p * half + i] = float(std::sin(double(angle))) * factor;
    }
  }
}

}  // namespace lowrank
