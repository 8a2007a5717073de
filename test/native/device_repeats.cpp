// Passes that a device repeats: a training has the bits that it has without repetition, whatever differs between passes of one shape.
#include <cstdlib>
#include <cstring>

#include "modes.h"
#include "tiny_model.h"

namespace lowrank::test {

namespace {

constexpr const char* kSwitch = "LOWRANK_CUDA_GRAPHS";
constexpr int kSteps = 3;
// A micro-batch is three pieces of at most 20 tokens: two of one shape, with different tokens of the micro-batch before them.
constexpr int64_t kMostTokens = 20;
const std::vector<int64_t> kLengths = {20, 20, 11, 9};

struct Trained {
  std::vector<float> parameters;
  std::vector<double> numbers;  // losses and norms
  int64_t repeated = 0, largest = 0;
  std::vector<MemoryItem> plan;
};

Batch labelled(uint64_t seed, const ModelSpec& model, const std::vector<int64_t>& lengths) {
  Batch b = batch_of(seed, model.vocab, lengths);
  if (!model.classifier) return b;
  for (size_t s = 0; s < lengths.size(); s++) b.labels.push_back(float((seed + s) % uint64_t(model.classifier->labels())));
  return b;
}

// Tokens, streams, loss scales and learning rates are another step's. Micro-batches of another shape, an evaluation and another adapter come between.
Trained train(const TinyModel& model, const AdapterSpec& spec, DType act, const DevicePlugin& plugin) {
  const EngineOptions options = {.act = act, .threads = 1, .max_tokens = kMostTokens, .max_sequence = kMostTokens, .training = true, .checkpointed_blocks = 1};
  LoadProgress progress;
  Engine engine(model.source, {spec}, options, progress, plugin.make(0));
  const auto pass = [&](uint64_t number, const std::vector<int64_t>& lengths, int adapter = 0) {
    engine.forward_backward(labelled(number, model.source.spec, lengths), 1.0 / double(50 + 7 * number), number, adapter);
  };
  Trained t;
  AdapterSpec other = spec;
  other.rank++;
  for (uint64_t step = 0; step < kSteps; step++) {
    pass(step, kLengths);
    if (step == 0) pass(77, {17, 1});
    if (step == 1) {
      const Batch b = labelled(99, model.source.spec, kLengths);
      t.numbers.push_back(model.source.spec.classifier ? engine.classify(b).loss : engine.evaluate(b));
    }
    engine.adapter().step({.learning_rates = {1e-2f / float(1 + step)}, .max_grad_norm = 1, .tokens = double(53 + step)});
    const StepState state = engine.adapter().read();
    t.numbers.insert(t.numbers.end(), {state.loss, state.norm});
    if (step != 1) continue;
    engine.add_adapter(other);  // other buffers
    pass(78, kLengths, 1);
    engine.adapter(1).step({.learning_rates = {1e-2f}, .tokens = 53});
  }
  t.parameters.resize(size_t(engine.trainable_parameters()));
  engine.adapter().parameters().read(0, int64_t(t.parameters.size() * sizeof(float)), t.parameters.data());
  t.repeated = engine.repeated();
  t.largest = engine.largest_recording();
  EngineOptions planned = options;
  planned.device = "cuda:0";
  t.plan = plan_memory(model.source, {spec, other}, planned);
  return t;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) { return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0; }

}  // namespace

void test_device_repeats(const DevicePlugin& plugin, const Options& o, Report& report) {
  const ModelSpec plain = tiny_spec({.vocab = 61, .dim = 16, .mlp = 24, .layers = 2, .heads = 2, .kv_heads = 1, .head_dim = 8});
  ModelSpec dropped = plain;  // of the base
  dropped.embedding_dropout = dropped.block.attention.residual.dropout = 0.2;
  dropped.block.attention.dropout = dropped.block.mlp.residual.dropout = 0.3;
  ModelSpec classifier = dropped;
  classifier.embedding_linear = {"project_in", 16, 12};
  classifier.final_linear = {"pooler", 16, 16, true};
  classifier.classifier.emplace();
  classifier.classifier->layers = {{{"dense", 16, 16, true}, HeadFunction::none, 0.2}, {{"score", 3, 16}, HeadFunction::tanh, 0.1}};
  const struct {
    const char* name;
    const ModelSpec* model;
    DType act;
    bool dora;
    double neftune;
    bool bordered = false;
    Format stored = Format::f32;
  } kinds[] = {{"noise, dropout of base and adapter", &dropped, DType::f32, false, 5}, {"DoRA", &plain, DType::bf16, true, 0}, {"classifier", &classifier, DType::f32, false, 0},
               {"bordered", &dropped, DType::bf16, false, 0, true}, {"bordered weights in bf16", &dropped, DType::bf16, false, 0, true, Format::bf16}};
  int64_t number = 0;
  for (const auto& kind : kinds) {
    if (!o.mine(number++)) continue;
    const InForm form(kind.bordered);
    const TinyModel model(*kind.model, random_values(3), kind.stored);
    const AdapterSpec spec = {.rank = 2, .alpha = 4, .dropout = 0.25, .dora = kind.dora, .neftune_alpha = kind.neftune, .targets = model.targets, .seed = 7};
    unsetenv(kSwitch);
    const Trained repeated = train(model, spec, kind.act, plugin);
    setenv(kSwitch, "off", 1);
    const Trained plainly = train(model, spec, kind.act, plugin);
    unsetenv(kSwitch);
    const std::string label = std::string("device: repeated passes, ") + kind.name;
    report.expect(plainly.repeated == 0 && repeated.repeated > kSteps, label + ": some", std::to_string(repeated.repeated) + " are repeated, and " + std::to_string(plainly.repeated) + " where none should be");
    report.expect(same(repeated.parameters, plainly.parameters) && same(repeated.numbers, plainly.numbers), label + ": the bits of passes that are not");
    if (!o.few() || number == o.part + 1) {  // of one kind
      // Room for one pass: the shapes that come more often take it from each other.
      setenv(kSwitch, "10", 1);
      const Trained one = train(model, spec, kind.act, plugin);
      unsetenv(kSwitch);
      report.expect(one.repeated > 0 && one.repeated < repeated.repeated && same(one.parameters, plainly.parameters) && same(one.numbers, plainly.numbers), label + ": in little memory",
                    std::to_string(one.repeated) + " are repeated of " + std::to_string(repeated.repeated));
    }
    constexpr int64_t kRecordings = 8, kNode = 64 << 10;  // as the plan counts
    int64_t nodes = 0;
    for (const MemoryItem& item : repeated.plan) nodes += item.name == "CUDA graphs" ? item.bytes / kRecordings / kNode : 0;
    report.expect(repeated.largest > 0 && nodes >= repeated.largest && nodes < 2 * repeated.largest, label + ": the plan's memory of a recorded pass",
                  std::to_string(nodes) + " nodes are planned, the largest has " + std::to_string(repeated.largest));
  }
}

}  // namespace lowrank::test
