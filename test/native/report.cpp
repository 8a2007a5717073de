#include "report.h"

#include <cmath>
#include <cstdio>

#include "bounds.h"

namespace lowrank::test {

void Report::fail(const std::string& label, const std::string& message) {
  failed_++;
  std::printf("FAIL %s\n     %s\n", label.c_str(), message.c_str());
  std::fflush(stdout);
}

namespace {

std::string text(double x) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.9g", x);
  return buffer;
}

// bound, and one rounding of each side to the dtype it is stored in
double allowance(double bound, double expected, DType tested, DType twin) {
  return bound + unit(tested) * (std::fabs(expected) + bound) + unit(twin) * std::fabs(expected) + smallest(tested);
}

// f(name, row, col, expected, found, allowed) for every element of every output; allowed is negative for "exactly".
template <class F>
void for_outputs(const Slots& slots, const Memory& twin, const Memory& tested, const Bounds& bounds, F&& f) {
  for (const Slot& s : slots.all()) {
    if (s.role == Role::input) continue;
    const Mat e = twin.mat(s.name), t = tested.mat(s.name);
    const auto it = bounds.of.find(s.name);
    check(it != bounds.of.end() && int64_t(it->second.size()) == s.rows * s.cols, "a bound for every output",
          s.name.c_str());
    for (int64_t r = 0; r < s.rows; r++) {
      for (int64_t c = 0; c < s.cols; c++) {
        const double bound = it->second[size_t(r * s.cols + c)], expected = double(e.get(r, c)), found = double(t.get(r, c));
        f(s.name, r, c, expected, found, bound < 0 ? -1.0 : allowance(bound, expected, t.dtype, e.dtype));
      }
    }
  }
  f("result", 0, 0, twin.scalar, tested.scalar, bounds.scalar + 1e-14 * std::fabs(twin.scalar));
}

}  // namespace

std::string compare(const Slots& slots, const Memory& twin, const Memory& tested, const Bounds& bounds) {
  std::string first;
  int64_t wrong = 0, all = 0;
  for_outputs(slots, twin, tested, bounds,
              [&](const std::string& name, int64_t r, int64_t c, double expected, double found, double allowed) {
                all++;
                // Written so that NaN is wrong.
                const bool right = allowed < 0 ? found == expected : std::fabs(found - expected) <= allowed;
                if (right || wrong++ > 0) return;
                first = name + "[" + std::to_string(r) + "," + std::to_string(c) + "]: expected " + text(expected) +
                        ", found " + text(found) + ", bound " + (allowed < 0 ? "exact" : text(allowed));
              });
  if (wrong == 0) {
    const std::string damage = tested.damage();
    return damage.empty() ? "" : damage;
  }
  return first + " (" + std::to_string(wrong) + " of " + std::to_string(all) + " elements)";
}

double worst_ratio(const Slots& slots, const Memory& twin, const Memory& tested, const Bounds& bounds) {
  double worst = 0;
  for_outputs(slots, twin, tested, bounds,
              [&](const std::string&, int64_t, int64_t, double expected, double found, double allowed) {
                if (allowed > 0) worst = std::max(worst, std::fabs(found - expected) / allowed);
              });
  return worst;
}

}  // namespace lowrank::test
