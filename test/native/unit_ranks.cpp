// Ranks in threads of their own: sums over them that begin in the backward pass.
#include <cmath>
#include <cstring>
#include <thread>

#include "cpu/cpu.h"
#include "error_code.h"
#include "modes.h"
#include "thread_group.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

using Hall = ThreadGroup::Hall;

const ModelSpec kSpec = tiny_spec({.vocab = 97, .dim = 32, .mlp = 80, .layers = 3, .heads = 4, .kv_heads = 2, .head_dim = 8});
constexpr int kRanks = 3;
constexpr uint64_t kMicroBatches = 4, kSteps = 3;

// A rank large enough that each layer's gradients are a message of their own.
AdapterSpec spec_of(const TinyModel& model) { return {.rank = 128, .alpha = 16, .dropout = 0.1, .targets = model.targets, .seed = 1}; }
constexpr EngineOptions kOptions = {.threads = 1, .max_tokens = 64, .max_sequence = 48, .training = true};

// In the backward pass of the lowest block: waits, for some seconds, until the sums have begun.
class UntilSums final : public Observer {
 public:
  explicit UntilSums(const ThreadGroup& group) : group_(group) {}
  void about(const std::string&) override {}
  void begin() override {}
  void end(const char* operation, double) override {
    if (std::strcmp(operation, "attention_bwd") != 0 || ++blocks_ % kSpec.layers != 0 || !waits) return;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (group_.exchanges == 0 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    has_seen = group_.exchanges > 0;
  }
  bool waits = false, has_seen = false;

 private:
  const ThreadGroup& group_;
  int64_t blocks_ = 0;
};

struct Trained {
  std::vector<double> readings;  // losses and norms
  std::vector<float> parameters;
  bool has_seen = false;
  uint64_t refused = 0;  // steps
};

struct How {
  bool early = true;  // the sums
  int64_t checkpointed = 0;
  bool corrected = false;  // each step is first asked for with options that are an error
};

// One rank's steps. The last step has a single micro-batch, so that other ranks have none.
Trained train(const TinyModel& model, const std::shared_ptr<Hall>& hall, int rank, const How& how) {
  EngineOptions options = kOptions;
  options.checkpointed_blocks = how.checkpointed;
  auto backend = make_cpu_backend(1, cpu_default_instruction_set());
  auto group = std::make_unique<ThreadGroup>(hall, rank);
  UntilSums until(*group);
  backend->observe(&until);
  LoadProgress progress;
  Engine engine(model.source, {spec_of(model)}, options, progress, std::move(backend));
  engine.join(std::move(group));
  Trained found;
  for (uint64_t step = 0; step < kSteps; step++) {
    const uint64_t count = step + 1 < kSteps ? kMicroBatches : 1, ranks = uint64_t(hall->ranks());
    for (uint64_t i = uint64_t(rank); i < count; i += ranks) {
      const bool is_last = how.early && i + ranks >= count;
      until.waits = is_last && step == 0 && ranks > 1;  // one alone sums nothing
      engine.forward_backward(batch_of(step * 10 + i, kSpec.vocab), 1.0 / 53, step * 10 + i, 0, is_last);
    }
    const OptimizerOptions step_options = {.learning_rates = {1e-3f}, .max_grad_norm = 1, .tokens = 53};
    if (how.corrected) {
      OptimizerOptions wrong = step_options;
      wrong.tokens = 0;
      found.refused += code_of([&] { engine.optimizer_step(wrong); }) == "E_OPTIONS";
    }
    engine.optimizer_step(step_options);
    const StepState state = engine.adapter().read();
    found.readings.insert(found.readings.end(), {state.loss, state.norm});
  }
  found.has_seen = until.has_seen;
  found.parameters.resize(size_t(engine.trainable_parameters()));
  engine.adapter().parameters().read(0, engine.trainable_parameters() * 4, found.parameters.data());
  return found;
}

std::vector<Trained> train_all(const TinyModel& model, int ranks, const How& how) {
  const auto hall = std::make_shared<Hall>(ranks);
  std::vector<Trained> found(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; r++) threads.emplace_back([&, r] { found[size_t(r)] = train(model, hall, r, how); });
  for (std::thread& t : threads) t.join();
  return found;
}

bool same(const Trained& a, const Trained& b) {
  return a.readings == b.readings && a.parameters.size() == b.parameters.size() && std::memcmp(a.parameters.data(), b.parameters.data(), a.parameters.size() * sizeof(float)) == 0;
}

// fp16 with a dynamic loss scale: two micro-batches a step, of one rank each or both of one. In the second step the second one alone overflows.
struct Halves {
  std::vector<double> readings;  // of each step: loss, norm (-1: not finite), loss scale, steps that were applied and skipped
  std::vector<float> parameters;
  bool is_finite = true;  // this rank's own gradients of the second step
};

Halves train_halves(const TinyModel& model, const std::shared_ptr<Hall>& hall, int rank) {
  EngineOptions options = kOptions;
  options.act = DType::f16;
  LoadProgress progress;
  Engine engine(model.source, {spec_of(model)}, options, progress);
  engine.join(std::make_unique<ThreadGroup>(hall, rank));
  AdapterSlot& slot = engine.adapter();
  StepState state = slot.read();
  state.loss_scale = 1024;
  slot.write(state);
  Halves found;
  std::vector<float> values(size_t(engine.trainable_parameters()));
  const int64_t bytes = engine.trainable_parameters() * int64_t(sizeof(float));
  for (uint64_t step = 0; step < 4; step++) {
    for (uint64_t i = uint64_t(rank); i < 2; i += uint64_t(hall->ranks())) {
      const double factor = step == 1 && i == 1 ? 1e6 : 1;
      engine.forward_backward(batch_of(step * 10 + i, kSpec.vocab), factor / 53, step * 10 + i);
    }
    if (step == 1) {
      slot.gradients().read(0, bytes, values.data());
      for (const float v : values) found.is_finite = found.is_finite && std::isfinite(v);
    }
    engine.optimizer_step({.learning_rates = {1e-3f}, .max_grad_norm = 1, .tokens = 53, .growth_steps = 2});
    const StepState s = slot.read();
    found.readings.insert(found.readings.end(), {s.loss, std::isfinite(s.norm) ? s.norm : -1, s.loss_scale, double(s.applied), double(s.skipped)});
  }
  slot.parameters().read(0, bytes, values.data());
  found.parameters = values;
  return found;
}

void test_halves(const TinyModel& model, Report& report) {
  const Halves one = train_halves(model, std::make_shared<Hall>(1), 0);
  const auto hall = std::make_shared<Hall>(2);
  Halves two[2];
  std::thread other([&] { two[1] = train_halves(model, hall, 1); });
  two[0] = train_halves(model, hall, 0);
  other.join();
  report.expect(two[0].is_finite && !two[1].is_finite && !one.is_finite, "unit: in fp16 one rank alone overflows");
  report.expect(one.readings[6] == -1 && one.readings[7] == 512 && one.readings[8] == 1 && one.readings[9] == 1, "unit: that step is skipped, and halves the loss scale");
  report.expect(one.readings[17] == 1024 && one.readings[18] == 3, "unit: two good ones double it");
  for (const Halves& rank : two) {
    report.expect(rank.readings == one.readings, "unit: ranks in fp16 have the bits of one process with twice the micro-batches: readings");
    report.expect(std::memcmp(rank.parameters.data(), one.parameters.data(), one.parameters.size() * sizeof(float)) == 0, "unit: and its parameters");
  }
}

// A group of several that fails in its first exchange.
class Broken final : public Group {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  void finish() override {}
  void abort() override {}

 protected:
  void exchange(const float*, const std::vector<int>&, float*) override { throw Error("E_GROUP", "The other rank is gone."); }
  void gather(Channel, const void*, const std::vector<int>&, void*) override {}
  void broadcast(void*, int) override {}
};

}  // namespace

void test_ranks(Report& report) {
  const TinyModel model(kSpec, random_values(5));
  const auto one = train_all(model, 1, {}), after = train_all(model, kRanks, {.early = false}), early = train_all(model, kRanks, {}),
             again = train_all(model, kRanks, {.checkpointed = kSpec.layers}), corrected = train_all(model, kRanks, {.corrected = true});
  for (size_t r = 0; r < size_t(kRanks); r++) {
    const std::string rank = "unit: rank " + std::to_string(r);
    report.expect(early[r].has_seen, rank + ": its sums begin while the lowest block goes backward");
    report.expect(!after[r].has_seen && same(early[r], after[r]), rank + ": they have the bits of sums after the backward pass");
    report.expect(same(early[r], again[r]), rank + ": and of checkpointed blocks");
    report.expect(corrected[r].refused == kSteps && same(early[r], corrected[r]), rank + ": and of steps that are asked for again after options that were an error");
    report.expect(same(early[r], early[0]), rank + ": its bits are rank 0's");
  }
  for (size_t i = 0; i < one[0].readings.size(); i++) {
    const double expected = one[0].readings[i], found = early[0].readings[i];
    report.expect(std::abs(found - expected) <= 1e-6 * expected, "unit: ranks have losses and norms of one process", std::to_string(found) + ", expected " + std::to_string(expected));
  }

  test_halves(model, report);

  LoadProgress progress;
  const Batch batch = batch_of(3, kSpec.vocab);
  {
    // The other rank never comes.
    const auto hall = std::make_shared<Hall>(2);
    Engine engine(model.source, {spec_of(model)}, kOptions, progress);
    engine.join(std::make_unique<ThreadGroup>(hall, 0));
    engine.forward_backward(batch, 1, 0, 0, true);
    report.expect(code_of([&] { engine.forward_backward(batch, 1, 1); }) == "E_STATE", "unit: no micro-batch after the last one");
    AdapterSpec larger = spec_of(model);
    larger.rank *= 2;
    report.expect(code_of([&] { engine.add_adapter(larger); }) == "E_STATE", "unit: no adapter is added while gradients, which may move, are summed");
    report.expect(code_of([&] { engine.remove_adapter(0); }) == "E_STATE", "unit: no adapter is removed while its gradients are summed");
  }
  report.expect(true, "unit: an engine ends while sums are in progress");
  Engine engine(model.source, {spec_of(model)}, kOptions, progress);
  engine.join(std::make_unique<Broken>());
  engine.forward_backward(batch, 1, 0, 0, true);
  report.expect(code_of([&] { engine.optimizer_step({.learning_rates = {1e-3f}}); }) == "E_GROUP", "unit: a sum that fails ends the step");
}

}  // namespace lowrank::test
