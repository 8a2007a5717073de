#include "quant/moments.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "quant/dynamic_map.h"

namespace lowrank {

namespace {

// The nearest value of a map. The upper half of a float's bits tells nearly where it is. A table over these bits holds the code of
// the smallest value that has them; a step or two lead from there to the nearest.
class Nearest {
 public:
  explicit Nearest(const float* map) : map_(map), start_(1 << 16) {
    for (uint32_t upper = 0; upper < start_.size(); upper++) {
      const bool negative = upper >> 15;
      const float least = std::bit_cast<float>(upper << 16 | (negative ? 0xffffu : 0u));
      start_[upper] = std::isnan(least) ? 0 : step(0, least);
    }
  }
  uint8_t code(float x) const { return step(start_[std::bit_cast<uint32_t>(x) >> 16], x); }

 private:
  // Of two equally near codes the smaller one stays.
  uint8_t step(int code, float x) const {
    while (code < 255 && std::fabs(x - map_[code + 1]) < std::fabs(x - map_[code])) code++;
    return uint8_t(code);
  }
  const float* map_;
  std::vector<uint8_t> start_;
};

const Nearest& nearest(Moment moment) {
  static const Nearest first(moment_map(Moment::first)), second(moment_map(Moment::second));
  return moment == Moment::first ? first : second;
}

}  // namespace

const float* moment_map(Moment moment) { return moment == Moment::first ? dynamic_map() : dynamic_map_unsigned(); }

void dequantize_moment(Moment moment, const uint8_t* codes, float maximum, int64_t n, float* x) {
  const float* const map = moment_map(moment);
  for (int64_t i = 0; i < n; i++) x[i] = map[codes[i]] * maximum;
}

void quantize_moment(Moment moment, const float* x, int64_t n, uint8_t* codes, float* maximum) {
  float top = 0;
  for (int64_t i = 0; i < n; i++) top = std::max(top, std::fabs(x[i]));
  if (top == 0) top = 1;  // as bitsandbytes has it for a block of zeros
  *maximum = top;
  const Nearest& map = nearest(moment);
  for (int64_t i = 0; i < n; i++) codes[i] = map.code(x[i] / top);
}

}  // namespace lowrank
