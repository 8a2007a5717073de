// Operands and calls of sampling. Its weights are whole numbers: every token is the twin's.
#include <cstring>
#include <limits>

#include "operations.h"
#include "ops/sampling.h"
#include "random.h"

namespace lowrank::test {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Of the random numbers some are at the ends of their range.
SampleRow row_of(const Case& c, Random& r) {
  return {.temperature = r.pick({0.f, 0.05f, 0.7f, 1.f, 1.f, 3.f}),
          .top_p = r.pick({1.f, 1.f, 0.f, 1e-6f, 0.3f, 0.9f, 0.9f, 0.9999f}),
          .top_k = r.pick({int64_t(0), int64_t(0), int64_t(1), int64_t(3), c.features / 2, c.features, c.features + 5}),
          .random = r.pick({uint32_t(r.below(1 << kSampleBits)), uint32_t(r.below(1 << kSampleBits)), uint32_t(0), uint32_t((1 << kSampleBits) - 1)})};
}

void define(const Case& c, Slots& s) {
  Random r(c.seed);
  std::vector<float> logits = r.values(c.rows * c.features, DType::f32, c.size);
  // Equals, both zeros among them.
  if (!c.exact) {
    for (float& x : logits) x = r.pick({-2.f, -1.f, -0.f, 0.f, 1.f, 1.f}) * c.size;
  }
  if (c.bias) {  // tokens that cannot come
    for (float& x : logits) x = r.below(3) == 0 ? -kInfinity : x;
  }
  for (int64_t n = c.optional ? c.rows : 0; n < c.rows; n += 2) {
    logits[size_t(n * c.features + r.below(c.features))] = r.pick({kInfinity, std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()});
  }
  s.input("logits", DType::f32, c.rows, c.features, std::move(logits), c.ld_pad);
  std::vector<SampleRow> rows;
  for (int64_t n = 0; n < c.rows; n++) rows.push_back(row_of(c, r));
  std::vector<int32_t> words(rows.size() * sizeof(SampleRow) / sizeof(int32_t));
  std::memcpy(words.data(), rows.data(), words.size() * sizeof(int32_t));
  s.ints("rows", words);
  s.output("tokens", DType::f32, 1, c.rows).rounded = true;
}

// Tokens are whole numbers where the slot has floats: they are compared by their bits, for no two of them are equal as floats.
void call(const Case&, Backend& b, Memory& m) {
  b.sample({m.mat("logits"), reinterpret_cast<const SampleRow*>(m.ints("rows")), reinterpret_cast<int32_t*>(m.f32("tokens"))});
}
void bound(const Case& c, const Arithmetic&, const Memory&, const Slots&, Bounds& b) { b.of["tokens"].assign(size_t(c.rows), Bounds::kExact); }

double work(const Case& c) { return double(c.rows * c.features) * sizeof(float); }

}  // namespace

const std::vector<Operation> kSampleOperations = {{"sample", define, call, bound, work, true}};

void add_sample_cases(std::vector<Case>& cases) {
  Random r(19);
  for (const int64_t vocab : {1, 2, 3, 31, 33, 255, 512, 513, 1025, 4099, 33000}) {
    for (int i = 0; i < 8; i++) {
      Case c;
      c.op = "sample";
      c.rows = r.pick({1, 2, 5, 16});
      c.features = vocab;
      c.ld_pad = r.pick({0, 0, 1, 16});
      c.size = r.pick({0.01f, 1.f, 4.f, 30.f});
      c.exact = r.coin();
      c.bias = vocab > 2 && r.below(3) == 0;
      c.optional = r.below(4) != 0;
      c.roomy = r.below(4) == 0;
      c.heavy = vocab > 30000 && i > 0;
      cases.push_back(c);
    }
  }
}

}  // namespace lowrank::test
