// 8-bit AdamW on an instruction set against the slow twin, step by step from the same state.
#include <cmath>
#include <cstring>
#include <functional>

#include "base/arena.h"
#include "bounds.h"
#include "modes.h"
#include "quant/moments.h"
#include "random.h"
#include "ref/ref_backend.h"
#include "runners.h"

namespace lowrank::test {

namespace {

// Two tensors: one with moments in 8 bits, and a small one in f32 behind it.
constexpr int64_t kSmall = 100;
constexpr double kSmallRate = 2;

struct State {
  std::vector<float> p, m_max, v_max, m_small, v_small;
  std::vector<uint8_t> m, v;

  // In memory that the backend and the test both read.
  void step(Backend& backend, const std::vector<float>& g, int64_t number) {
    std::vector<std::pair<void*, size_t>> fields;
    for (std::vector<float>* each : {&p, &m_max, &v_max, &m_small, &v_small}) fields.emplace_back(each->data(), each->size() * sizeof(float));
    for (std::vector<uint8_t>* each : {&m, &v}) fields.emplace_back(each->data(), each->size());
    struct Fixed {
      StepState state;
      AdamWPart parts[2];
    };
    const int64_t n = int64_t(m.size()), blocks = int64_t(m_max.size());
    std::vector<int64_t> at;
    int64_t bytes = Arena::aligned(sizeof(Fixed));
    const auto take = [&](size_t size) {
      at.push_back(bytes);
      bytes += Arena::aligned(int64_t(size));
    };
    for (const auto& [data, size] : fields) take(size);
    take(g.size() * sizeof(float));
    const std::shared_ptr<void> memory = test_memory(bytes);
    char* const base = static_cast<char*>(memory.get());
    for (size_t i = 0; i < fields.size(); i++) std::memcpy(base + at[i], fields[i].first, fields[i].second);
    std::memcpy(base + at.back(), g.data(), g.size() * sizeof(float));
    Fixed& fixed = *new (base) Fixed{};
    fixed.state.applied = number;
    fixed.state.grad_scale = 0.5f;
    fixed.state.learning_rate = 3e-3f;
    fixed.state.applies = true;
    fixed.parts[0] = {.begin = 0, .elements = n, .m = at[5], .v = at[6], .m_max = at[1], .v_max = at[2], .first_block = 0, .rate_factor = 1, .weight_decay = 0.1f, .is_8bit = true};
    fixed.parts[1] = {.begin = n, .elements = kSmall, .m = at[3], .v = at[4], .m_max = 0, .v_max = 0, .first_block = blocks, .rate_factor = kSmallRate, .weight_decay = 0, .is_8bit = false};
    backend.adamw({.p = reinterpret_cast<float*>(base + at[0]),
                   .g = reinterpret_cast<float*>(base + at.back()),
                   .moments = base,
                   .parts = fixed.parts,
                   .count = 2,
                   .blocks = blocks + 1,
                   .beta1 = 0.9,
                   .beta2 = 0.999,
                   .eps = 1e-8f,
                   .state = &fixed.state});
    StepState done;
    backend.download(&fixed.state, sizeof done, &done);  // waits
    for (size_t i = 0; i < fields.size(); i++) std::memcpy(fields[i].first, base + at[i], fields[i].second);
  }
};

// Codes that differ are neighbours, for a value on the border between them; there are few. Returns the fault in
// words.
std::string compare_codes(const std::vector<uint8_t>& found, const std::vector<uint8_t>& expected) {
  size_t differing = 0;
  for (size_t i = 0; i < found.size(); i++) {
    const int distance = std::abs(int(found[i]) - int(expected[i]));
    if (distance > 1) return "code " + std::to_string(i) + " is " + std::to_string(found[i]) + ", expected " + std::to_string(expected[i]);
    differing += distance;
  }
  return differing * 200 > found.size() + 200 ? std::to_string(differing) + " codes differ" : "";
}

std::string compare_maxima(const std::vector<float>& found, const std::vector<float>& expected) {
  for (size_t i = 0; i < found.size(); i++) {
    if (!(std::fabs(double(found[i]) - double(expected[i])) <= 8 * kF32 * double(expected[i]))) return "maximum " + std::to_string(i);
  }
  return "";
}

using Step = std::function<void(State&, const std::vector<float>& g, int64_t number)>;

// Some steps from one state; each begins where the twin's ended.
void test_steps(const std::string& label, const Step& tested, const Step& again, Report& report) {
  for (const int64_t n : {1, 255, 256, 257, 4096, 5000, 20001}) {
    Random r(uint64_t(n) + 40);
    const size_t blocks = size_t((n + kMomentBlock - 1) / kMomentBlock);
    State state{r.values(n + kSmall, DType::f32), std::vector<float>(blocks), std::vector<float>(blocks), std::vector<float>(kSmall), std::vector<float>(kSmall), std::vector<uint8_t>(size_t(n)), std::vector<uint8_t>(size_t(n))};
    for (int64_t step = 1; step <= 3; step++) {
      std::vector<float> g = r.values(n + kSmall, DType::f32);
      for (float& x : g) x *= std::pow(10.f, float(r.below(7)) - 6);
      State twin = state, one = state, other = state;
      RefBackend ref;
      twin.step(ref, g, step);
      tested(one, g, step);
      again(other, g, step);
      const std::string at = label + " adamw_8bit n=" + std::to_string(n) + " step " + std::to_string(step);
      double worst = 0;
      for (size_t i = 0; i < one.p.size(); i++) {
        // Rounding errors grow with the update, which is large where the code of the second moment is far below the first's.
        const double size = std::max(1.0, std::fabs(double(twin.p[i]) - double(state.p[i])));
        worst = std::max(worst, std::fabs(double(one.p[i]) - double(twin.p[i])) / size / (i < size_t(n) ? 1 : kSmallRate));
      }
      report.expect(worst <= 40 * kF32, at + " p", std::to_string(worst));
      for (const std::string& wrong : {compare_codes(one.m, twin.m), compare_codes(one.v, twin.v), compare_maxima(one.m_max, twin.m_max),
                                       compare_maxima(one.v_max, twin.v_max)}) {
        report.expect(wrong.empty(), at, wrong);
      }
      report.expect(one.p == other.p && one.m == other.m && one.v == other.v && one.m_max == other.m_max && one.v_max == other.v_max, at + " has the same bits again");
      state = twin;
    }
  }
}

}  // namespace

void test_moments(const cpu::InstructionSet& isa, Report& report) {
  const auto with = [&](int threads) {
    return [&isa, threads](State& s, const std::vector<float>& g, int64_t number) {
      Runner runner(isa, threads);
      s.step(runner.prepare({}, false), g, number);
    };
  };
  test_steps("twin [" + std::string(isa.name) + "]", with(1), with(3), report);
}

void test_device_moments(Backend& device, Report& report) {
  const Step step = [&](State& s, const std::vector<float>& g, int64_t number) { s.step(device, g, number); };
  test_steps("device [" + device.name() + "]", step, step, report);
}

}  // namespace lowrank::test
