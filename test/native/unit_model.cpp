// Rotary tables and sampling.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "model/rope_table.h"
#include "modes.h"
#include "ops/end_clip.h"
#include "random.h"
#include "runners.h"
#include "train/sampling.h"

namespace lowrank::test {

namespace {

// The table of heads of 64.
RopeTable rope_table(RopeScaling scaling, int64_t positions, int64_t length = 0) { return RopeTable({10000, scaling}, 64, positions, length); }

// inv_freq of transformers' LlamaRotaryEmbedding for head_dim 64 and rope_theta 10000: plain, and llama3 with factor 8,
// low 1, high 4 and an original context of 128. Its f32 roundings count, see rope_table.cpp.
constexpr float kPlain[32] = {
    1.0f, 0.749894202f, 0.562341332f, 0.421696514f, 0.316227764f, 0.237137362f, 0.177827939f, 0.133352146f,
    0.100000001f, 0.0749894157f, 0.0562341288f, 0.0421696492f, 0.0316227786f, 0.0237137359f, 0.0177827943f, 0.0133352149f,
    0.00999999978f, 0.00749894232f, 0.00562341325f, 0.00421696482f, 0.00316227786f, 0.00237137382f, 0.00177827943f, 0.00133352145f,
    0.00100000005f, 0.000749894185f, 0.000562341302f, 0.000421696488f, 0.000316227786f, 0.000237137385f, 0.00017782794f, 0.00013335215f,
};
constexpr float kLlama3[32] = {
    1.0f, 0.749894202f, 0.562341332f, 0.421696514f, 0.316227764f, 0.237137362f, 0.158257738f, 0.0834361687f,
    0.0427511781f, 0.0209148657f, 0.00941721443f, 0.00527120614f, 0.00395284733f, 0.00296421698f, 0.00222284929f, 0.00166690187f,
    0.00124999997f, 0.000937367789f, 0.000702926656f, 0.000527120603f, 0.000395284733f, 0.000296421727f, 0.000222284929f, 0.000166690181f,
    0.000125000006f, 9.37367731e-05f, 7.02926627e-05f, 5.2712061e-05f, 3.95284733e-05f, 2.96421731e-05f, 2.22284925e-05f, 1.66690188e-05f,
};

// The angle of a pair at position 1, from its cosine and sine.
double frequency(const RopeTable& t, int64_t pair) {
  return std::atan2(double(t.sin[size_t(32 + pair)]), double(t.cos[size_t(32 + pair)]));
}
double plain(int64_t pair, double base = 10000) { return std::pow(base, -2 * double(pair) / 64); }
bool close(double a, double b) { return std::fabs(a - b) <= 2e-7 * std::fabs(b) + 1e-12; }

}  // namespace

void test_rope_table(Report& report) {
  using Type = RopeScaling::Type;
  bool ok = true;
  const RopeTable table = rope_table({}, 100);
  for (int64_t p = 0; p < 100; p++) {
    for (int64_t i = 0; i < 32; i++) {
      // The angle is rounded to f32, as transformers does.
      const double angle = double(float(p) * kPlain[i]);
      ok = ok && std::fabs(double(table.cos[size_t(p * 32 + i)]) - std::cos(angle)) < 1e-7 &&
           std::fabs(double(table.sin[size_t(p * 32 + i)]) - std::sin(angle)) < 1e-7;
    }
  }
  report.expect(ok, "unit: rope table");
  report.expect(table.cos.size() == 100 * 32 && table.sin.size() == 100 * 32, "unit: rope table's size");

  const RopeTable linear = rope_table({Type::linear, 4, 1, 4, 0}, 2);
  ok = true;
  for (int64_t i = 0; i < 32; i++) ok = ok && close(frequency(linear, i), plain(i) / 4);
  report.expect(ok, "unit: linear rope divides frequencies");

  const auto dynamic = [](int64_t length) { return rope_table({Type::dynamic, 2, 1, 4, 128}, 2, length); };
  const RopeTable within = dynamic(128), beyond = dynamic(256);
  ok = true;
  for (int64_t i = 0; i < 32; i++) ok = ok && close(frequency(within, i), plain(i));
  report.expect(ok, "unit: dynamic rope within the trained context is plain");
  const double base = 10000 * std::pow(2.0 * 256 / 128 - 1, 64.0 / 62);
  for (int64_t i = 0; i < 32; i++) ok = ok && close(frequency(beyond, i), plain(i, base));
  report.expect(ok, "unit: dynamic rope beyond it grows the base");

  // Llama 3.1: wavelengths below 128/4 are kept, above 128/1 divided, between them interpolated.
  const RopeTable llama3 = rope_table({Type::llama3, 8, 1, 4, 128}, 2);
  ok = true;
  for (int64_t i = 0; i < 32; i++) {
    ok = ok && std::fabs(double(llama3.sin[size_t(32 + i)]) - std::sin(double(kLlama3[i]))) <= 6e-8 * double(kLlama3[i]);
  }
  report.expect(ok, "unit: llama3 rope");
}

void test_step_state(Report& report) {
  const float rates[] = {3, 2, 1};
  StepState s;
  s.loss_scale = 8;
  s.window_loss = 30;
  ClipArgs a{.g = nullptr, .n = 0, .max_norm = 1, .grad_factor = 0.5, .tokens = 10, .growth_steps = 2, .learning_rates = rates, .rates = 3, .skipped_before = 0, .state = &s};
  const double infinite = std::numeric_limits<double>::infinity();
  end_clip(a, 64);  // norm 8 / (8 * 0.5)
  report.expect(s.norm == 2 && s.loss == 3 && s.window_loss == 0 && s.applies && s.applied == 1, "unit: clip reads norm and loss");
  report.expect(s.grad_scale == float(1 / (2 + 1e-6) / 4) && s.learning_rate == 3, "unit: clip's factor takes the scale back and clips");
  end_clip(a, infinite);
  report.expect(!s.applies && s.applied == 1 && s.skipped == 1 && s.loss_scale == 4 && s.good_steps == 0, "unit: a step that is not finite is skipped and halves the scale");
  report.expect(s.bad_step == 2 && s.bad_loss == 0 && s.bad_norm == infinite, "unit: clip keeps the first bad step");
  s.window_loss = std::numeric_limits<double>::quiet_NaN();
  end_clip(a, 4);
  report.expect(s.applies && s.learning_rate == 2 && s.bad_step == 2 && s.interval_steps == 2 && s.interval_losses == 3, "unit: the schedule stands still in skipped steps, and losses that are no numbers do not count");
  end_clip(a, 0);
  report.expect(s.loss_scale == 8 && s.good_steps == 0 && s.grad_scale == 0.5f, "unit: applied steps double the scale, and small norms are not clipped");
  for (int i = 0; i < 5; i++) end_clip(a, infinite);
  report.expect(s.learning_rate == 1 && s.skipped == 6, "unit: the last learning rate counts for more skipped steps");
  s.loss_scale = double(std::numeric_limits<float>::max());
  for (int i = 0; i < 4; i++) end_clip(a, 1);
  report.expect(s.loss_scale == double(std::numeric_limits<float>::max()), "unit: the scale stays within the numbers of f32");
}

namespace {

int32_t sampled(const std::vector<float>& logits, const Sampling& s, uint64_t index) {
  const SampleRow row = s.row(index);
  int32_t token = 0;
  static cpu::CpuBackend backend(1, *real_sets("").front());
  backend.sample({Mat(const_cast<float*>(logits.data()), DType::f32, 1, int64_t(logits.size())), &row, &token});
  return token;
}

// Draws n tokens and counts them.
std::vector<int64_t> draw(const std::vector<float>& logits, const Sampling& s, int64_t n) {
  std::vector<int64_t> counts(logits.size());
  for (int64_t i = 0; i < n; i++) counts[size_t(sampled(logits, s, uint64_t(i)))]++;
  return counts;
}

// Pearson's statistic of counts against probabilities; categories without probability must be empty.
double chi_square(const std::vector<int64_t>& counts, std::vector<double> p) {
  const double total = std::accumulate(p.begin(), p.end(), 0.0),
               n = double(std::accumulate(counts.begin(), counts.end(), int64_t(0)));
  double statistic = 0;
  for (size_t i = 0; i < p.size(); i++) {
    const double expected = n * p[i] / total, difference = double(counts[i]) - expected;
    if (expected > 0) statistic += difference * difference / expected;
    else if (counts[i] > 0) return 1e9;
  }
  return statistic;
}

}  // namespace

void test_sampling(Report& report) {
  const std::vector<double> p = {0.06, 0.5, 0.1, 0.3, 0.04};
  std::vector<float> logits;
  for (const double x : p) logits.push_back(float(std::log(x)) + 3);
  // With 4 degrees of freedom 40 is exceeded with probability 4e-8, with fewer degrees less often.
  constexpr double kLimit = 40;
  constexpr int64_t kDraws = 20000;

  report.expect(draw(logits, {.temperature = 0, .seed = 1}, 5)[1] == 5, "unit: greedy takes the likeliest");
  report.expect(sampled({1, 4, 4, 2}, {}, 0) == 1, "unit: greedy takes the first of equals");
  report.expect(draw(logits, {.temperature = 5, .top_k = 1, .seed = 1}, 100)[1] == 100, "unit: top-k of 1 is greedy");
  report.expect(draw(logits, {.temperature = 1, .top_p = 1e-6f, .seed = 1}, 100)[1] == 100,
                "unit: the nucleus is never empty");

  const auto distribution = [&](const char* what, const Sampling& s, const std::vector<double>& expected) {
    const double statistic = chi_square(draw(logits, s, kDraws), expected);
    report.expect(statistic < kLimit, std::string("unit: sampling, ") + what, "chi-square " + std::to_string(statistic));
  };
  distribution("temperature 1", {.temperature = 1, .seed = 1}, p);
  std::vector<double> root, square;
  for (const double x : p) {
    root.push_back(std::sqrt(x));
    square.push_back(x * x);
  }
  distribution("temperature 2", {.temperature = 2, .seed = 2}, root);
  distribution("temperature 0.5", {.temperature = 0.5, .seed = 3}, square);
  distribution("top-k 3", {.temperature = 1, .top_k = 3, .seed = 4}, {0, 0.5, 0.1, 0.3, 0});
  distribution("top-k beyond the vocabulary", {.temperature = 1, .top_k = 9, .seed = 5}, p);
  distribution("top-p 0.79", {.temperature = 1, .top_p = 0.79f, .seed = 6}, {0, 0.5, 0, 0.3, 0});
  distribution("top-p 0.81", {.temperature = 1, .top_p = 0.81f, .seed = 7}, {0, 0.5, 0.1, 0.3, 0});
  // top-p works on the tokens that top-k left, renormalised: 0.5/0.8 = 0.625
  distribution("top-k 2, then top-p 0.6", {.temperature = 1, .top_k = 2, .top_p = 0.6f, .seed = 8}, {0, 1, 0, 0, 0});
  distribution("top-k 2, then top-p 0.65", {.temperature = 1, .top_k = 2, .top_p = 0.65f, .seed = 9}, {0, 0.5, 0, 0.3, 0});

  const Sampling s{.temperature = 1, .seed = 10};
  bool same = true;
  std::set<int32_t> seen;
  for (uint64_t i = 0; i < 50; i++) {
    const int32_t token = sampled(logits, s, i);
    same = same && token == sampled(logits, s, i);
    seen.insert(token);
  }
  report.expect(same && seen.size() > 1, "unit: a draw depends on seed and index alone");

  const float inf = std::numeric_limits<float>::infinity();
  const auto masked = draw({-inf, 0, -inf, 0}, {.temperature = 1, .seed = 11}, 1000);
  report.expect(masked[0] == 0 && masked[2] == 0 && masked[1] > 300 && masked[3] > 300,
                "unit: impossible tokens are never drawn");

  report.expect(sampled({0, std::numeric_limits<float>::quiet_NaN(), 1}, {}, 0) == kNoToken, "unit: sampling refuses what is not a number");

  // A large vocabulary: drawn tokens lie in the smallest set that reaches top_p, and its ends are reached.
  constexpr size_t kVocab = 30000;
  Random r(31);
  std::vector<float> many;
  for (size_t i = 0; i < kVocab; i++) many.push_back(r.symmetric() * 6);
  std::vector<size_t> order(kVocab), rank(kVocab);
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return many[a] > many[b]; });
  for (size_t i = 0; i < kVocab; i++) rank[order[i]] = i;
  double total = 0;
  for (const float x : many) total += std::exp(double(x));
  for (const float top_p : {0.3f, 0.95f}) {
    double sum = 0;
    size_t nucleus = 0;
    while (sum < double(top_p) * total) sum += std::exp(double(many[order[nucleus++]]));
    size_t furthest = 0;
    for (uint64_t i = 0; i < 300; i++) {
      furthest = std::max(
          furthest, rank[size_t(sampled(many, {.temperature = 1, .top_p = top_p, .seed = 12}, i))]);
    }
    report.expect(furthest < nucleus + 1 && furthest > nucleus / 2,
                  "unit: nucleus of a large vocabulary, top-p " + std::to_string(top_p),
                  "rank " + std::to_string(furthest) + " of " + std::to_string(nucleus));
  }
}

}  // namespace lowrank::test
