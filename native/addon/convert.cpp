#include "addon/convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "addon/mapped.h"
#include "addon/values.h"

namespace lowrank::addon {

namespace {

// The numbers of an object by name; undefined has none.
template <class F>
void numbers_of(const Napi::Value& v, const char* what, F&& f) {
  if (v.IsUndefined()) return;
  const Napi::Object o = to_object(v, what);
  const Napi::Array names = o.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = to_string(names.Get(i), what);
    f(name, to_number(o.Get(name), what));
  }
}

}  // namespace

AdapterSpec to_adapter_spec(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "adapter");
  AdapterSpec s;
  s.rank = integer(o, "rank");
  s.alpha = number(o, "alpha");
  s.dropout = number(o, "dropout");
  s.rslora = boolean(o, "useRslora");
  s.bias = o.Get("bias").ToBoolean();
  s.dora = o.Get("useDora").ToBoolean();
  s.freeze_a = o.Get("freezeA").ToBoolean();
  s.freezes_half = o.Get("freezesHalf").ToBoolean();
  if (const Napi::Value method = o.Get("initialFactors"); !method.IsUndefined()) s.initial_factors = to_string(method, "adapter.initialFactors");
  s.neftune_alpha = number_or(o, "neftuneNoiseAlpha", 0);
  if (const Napi::Value base = o.Get("baseDropout"); !base.IsUndefined()) s.base_dropout = base.ToBoolean();
  s.seed = uint64_t(integer(o, "seed"));
  const Napi::Value targets = o.Get("targets");
  if (!targets.IsArray()) fail("adapter.targets", "an array");
  const Napi::Array list = targets.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) s.targets.push_back(to_string(list.Get(i), "adapter.targets[]"));
  if (const Napi::Value whole = o.Get("whole"); whole.IsArray()) {
    const Napi::Array modules = whole.As<Napi::Array>();
    for (uint32_t i = 0; i < modules.Length(); i++) s.whole.push_back(to_string(modules.Get(i), "adapter.whole[]"));
  }
  if (const Napi::Value tokens = o.Get("tokens"); tokens.IsArray()) {
    const Napi::Array tables = tokens.As<Napi::Array>();
    for (uint32_t i = 0; i < tables.Length(); i++) {
      const Napi::Object table = to_object(tables.Get(i), "adapter.tokens[]");
      TokenRows& rows = s.tokens.emplace_back();
      rows.module = to_string(table.Get("module"), "adapter.tokens[].module");
      const Napi::Value ids = table.Get("ids");
      if (!ids.IsArray()) fail("adapter.tokens[].ids", "an array");
      for (uint32_t j = 0; j < ids.As<Napi::Array>().Length(); j++) {
        const double id = to_number(ids.As<Napi::Array>().Get(j), "adapter.tokens[].ids[]");
        if (!(id >= 0 && id <= double(std::numeric_limits<int32_t>::max()) && id == std::floor(id))) fail("adapter.tokens[].ids[]", "a token id");
        rows.ids.push_back(int32_t(id));
      }
    }
  }
  numbers_of(o.Get("ranks"), "adapter.ranks", [&](const std::string& target, double rank) { s.ranks[target] = int64_t(rank); });
  numbers_of(o.Get("alphas"), "adapter.alphas", [&](const std::string& target, double alpha) { s.alphas[target] = alpha; });
  return s;
}

AdapterSpecs to_adapter_specs(const Napi::Value& v) {
  if (v.IsNull() || v.IsUndefined()) return {};
  if (!v.IsArray()) return {to_adapter_spec(v)};
  AdapterSpecs specs;
  const Napi::Array list = v.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) specs.push_back(to_adapter_spec(list.Get(i)));
  return specs;
}

EngineOptions to_options(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "options");
  EngineOptions e;
  const std::string precision = to_string(o.Get("precision"), "options.precision");
  if (precision != "fp32" && precision != "bf16" && precision != "fp16") fail("options.precision", "\"fp32\", \"bf16\" or \"fp16\"");
  e.act = precision == "fp32" ? DType::f32 : precision == "bf16" ? DType::bf16 : DType::f16;
  e.threads = integer(o, "threads");
  if (const Napi::Value device = o.Get("device"); !device.IsUndefined()) e.device = to_string(device, "options.device");
  e.max_tokens = integer(o, "maxTokens");
  e.max_sequence = integer(o, "maxSequence");
  e.cache_tokens = integer_or(o, "cacheTokens", e.max_sequence);
  e.texts = integer_or(o, "texts", 1);
  e.training = boolean(o, "training");
  const Napi::Value optimizer = o.Get("optimizer");
  const std::string name = optimizer.IsUndefined() ? "adamw" : to_string(optimizer, "options.optimizer");
  if (name != "adamw" && name != "adamw_8bit") fail("options.optimizer", "\"adamw\" or \"adamw_8bit\"");
  e.adamw_8bit = name == "adamw_8bit";
  e.profile = o.Get("profile").ToBoolean();
  e.copies_weights = o.Get("copyWeights").ToBoolean();
  e.rereads_weights = o.Get("rereadWeights").ToBoolean();
  e.offload_embedding = o.Get("offloadEmbedding").ToBoolean();
  e.offload_checkpoints = o.Get("offloadCheckpoints").ToBoolean();
  e.checkpointed_blocks = integer_or(o, "checkpointedBlocks", 0);
  return e;
}

std::vector<int32_t> to_int32s(const Napi::Value& v, const char* what) {
  const Napi::Int32Array a = int32_array(v, what);
  return {a.Data(), a.Data() + a.ElementLength()};
}

std::vector<double> to_doubles(const Napi::Value& v, const char* what) {
  if (!v.IsTypedArray() || v.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) fail(what, "a Float64Array");
  const Napi::Float64Array a = v.As<Napi::Float64Array>();
  return {a.Data(), a.Data() + a.ElementLength()};
}

// Largest batch of tokens, made before an engine has seen it: half a gigabyte each of tokens and targets.
constexpr int64_t kMostTokens = int64_t(1) << 27;

namespace {
// A byte for each of n tokens; null where there are none.
const uint8_t* byte_each(const Napi::Object& sequence, const char* key, int64_t n) {
  const Napi::Value v = sequence.Get(key);
  if (v.IsUndefined() || v.IsNull()) return nullptr;
  const bool bytes = v.IsTypedArray() && v.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
  if (!bytes || int64_t(v.As<Napi::Uint8Array>().ElementLength()) != n) {
    fail(std::string("batch.sequences[].") + key, "a Uint8Array as long as inputIds");
  }
  return v.As<Napi::Uint8Array>().Data();
}
}  // namespace

// Reads the sequences where they lie (a mapped file, as a rule) and lays them one after the other: the only copy on the way.
Batch to_batch(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "batch");
  const Napi::Value list = o.Get("sequences");
  if (!list.IsArray()) fail("batch.sequences", "an array");
  const Napi::Array sequences = list.As<Napi::Array>();
  const int64_t pad_to = integer_or(o, "padTo", 0), pad_id = integer_or(o, "padId", 0);
  if (int32_t(pad_id) != pad_id) fail("batch.padId", "a token id");
  Batch b;
  b.offsets.push_back(0);
  std::set<const void*> buffers;
  for (uint32_t s = 0; s < sequences.Length(); s++) {
    const Napi::Object sequence = to_object(sequences.Get(s), "batch.sequences[]");
    const Napi::Int32Array ids = int32_array(sequence.Get("inputIds"), "batch.sequences[].inputIds");
    const int64_t n = int64_t(ids.ElementLength());
    const uint8_t *const mask = byte_each(sequence, "lossMask", n), *const types = byte_each(sequence, "tokenTypes", n);
    const int64_t end = int64_t(b.ids.size()) + std::max(n, pad_to);
    if (end > kMostTokens) throw Error("E_BATCH", "Batch: more than " + std::to_string(kMostTokens) + " tokens.");
    const int32_t* first = ids.Data();
    buffers.insert(ids.ArrayBuffer().Data());
    b.ids.insert(b.ids.end(), first, first + n);
    b.ids.resize(size_t(end), int32_t(pad_id));
    for (int64_t i = 1; i < n; i++) b.targets.push_back(!mask || mask[i] ? first[i] : kIgnore);
    b.targets.resize(size_t(end), kIgnore);
    if (types) {
      b.types.resize(size_t(b.offsets.back()));
      b.types.insert(b.types.end(), types, types + n);
    }
    if (!b.types.empty()) b.types.resize(size_t(end));
    b.offsets.push_back(int32_t(end));
    const Napi::Value labels = sequence.Get("labels");
    if (labels.IsUndefined()) continue;
    const bool floats = labels.IsTypedArray() && labels.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
    if (!floats) fail("batch.sequences[].labels", "a Float32Array");
    const Napi::Float32Array numbers = labels.As<Napi::Float32Array>();
    b.labels.insert(b.labels.end(), numbers.Data(), numbers.Data() + numbers.ElementLength());
  }
  for (const void* buffer : buffers) check_mapped(buffer);
  return b;
}

OptimizerOptions to_optimizer(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "options");
  OptimizerOptions r;
  if (const Napi::Value rates = o.Get("learningRate"); rates.IsArray()) {
    const Napi::Array list = rates.As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) r.learning_rates.push_back(float(to_number(list.Get(i), "options.learningRate[]")));
  } else {
    r.learning_rates.push_back(float(number(o, "learningRate")));
  }
  r.weight_decay = float(number(o, "weightDecay"));
  r.max_grad_norm = float(number(o, "maxGradNorm"));
  r.lora_plus_ratio = number_or(o, "loraplusLrRatio", 1);
  r.loss_scale = number_or(o, "lossScale", 1);
  r.tokens = number_or(o, "tokens", 1);
  r.growth_steps = integer_or(o, "growthSteps", 0);
  r.beta1 = number_or(o, "beta1", 0.9);
  r.beta2 = number_or(o, "beta2", 0.999);
  r.epsilon = float(number_or(o, "epsilon", 1e-8));
  return r;
}

namespace {

// The numbers of a state, by name; the same list both ways.
template <class State, class F>
void each_number(State& s, F&& f) {
  f("windowLoss", s.window_loss);
  f("loss", s.loss);
  f("gradNorm", s.norm);
  f("intervalLosses", s.interval_losses);
  f("intervalSteps", s.interval_steps);
  f("totalLosses", s.total_losses);
  f("totalSteps", s.total_steps);
  f("steps", s.steps);
  f("skippedSteps", s.skipped);
  f("lossScale", s.loss_scale);
  f("goodSteps", s.good_steps);
  f("badStep", s.bad_step);
  f("badLoss", s.bad_loss);
  f("badNorm", s.bad_norm);
}

}  // namespace

Napi::Value from_state(Napi::Env env, const StepState& s) {
  Napi::Object o = Napi::Object::New(env);
  each_number(s, [&](const char* name, const auto& value) { o.Set(name, double(value)); });
  return o;
}

std::function<void(StepState&)> to_state_change(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "readings");
  std::map<std::string, double> found;
  StepState names;
  each_number(names, [&](const char* name, const auto&) {
    if (!o.Get(name).IsUndefined()) found[name] = number(o, name);
  });
  return [found = std::move(found)](StepState& s) {
    each_number(s, [&](const char* name, auto& value) {
      if (const auto it = found.find(name); it != found.end()) value = std::decay_t<decltype(value)>(it->second);
    });
  };
}

Sampling to_sampling(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "sampling");
  return {float(number(o, "temperature")), integer(o, "topK"), float(number(o, "topP")), uint64_t(integer(o, "seed"))};
}

TensorMap to_tensors(const Napi::Value& v, const char* what) {
  TensorMap tensors;
  for (const auto& [name, t] : map_entries(v, what)) {
    const Napi::Value shape = t.Get("shape"), data = t.Get("data");
    const uint32_t dimensions = shape.IsArray() ? shape.As<Napi::Array>().Length() : 0;
    if (dimensions != 1 && dimensions != 2) fail(what, "tensors with one or two dimensions");
    if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
      fail(what, "tensors with Float32Array data");
    }
    const Napi::Float32Array values = data.As<Napi::Float32Array>();
    TensorF32 tensor{int64_t(to_number(shape.As<Napi::Array>().Get(0u), what)),
                     dimensions == 1 ? 1 : int64_t(to_number(shape.As<Napi::Array>().Get(1u), what)),
                     {values.Data(), values.Data() + values.ElementLength()},
                     dimensions == 1};
    if (tensor.rows * tensor.cols != int64_t(tensor.data.size())) fail(what, "data of the size that the shape says");
    tensors[name] = std::move(tensor);
  }
  return tensors;
}

TensorMap unflatten(const AdapterLayout& layout, const Buffer& flat) {
  TensorMap tensors;
  for (const AdapterTensor& t : layout.tensors()) {
    TensorF32& to = tensors[t.name];
    to = {t.rows, t.cols, std::vector<float>(size_t(t.elements())), t.is_vector};
    flat.read(t.offset * 4, t.elements() * 4, to.data.data());
  }
  return tensors;
}

void flatten(const AdapterLayout& layout, const TensorMap& tensors, const Buffer& flat) {
  std::set<std::string> known;
  for (const AdapterTensor& t : layout.tensors()) {
    const auto it = tensors.find(t.name);
    if (it == tensors.end()) throw Error("E_ADAPTER", "Adapter tensor " + t.name + " is missing.", t.name);
    const auto shape = [](int64_t rows, int64_t cols) { return std::to_string(rows) + ", " + std::to_string(cols); };
    if (it->second.rows != t.rows || it->second.cols != t.cols) {
      const std::string found = shape(it->second.rows, it->second.cols);
      throw Error("E_ADAPTER", "Adapter tensor " + t.name + " has shape [" + found + "], expected [" + shape(t.rows, t.cols) + "].", t.name);
    }
    known.insert(t.name);
  }
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name)) throw Error("E_ADAPTER", "Adapter tensor " + name + " belongs to no target module.", name);
  }
  // Nothing is changed before everything was found right.
  for (const AdapterTensor& t : layout.tensors()) flat.write(t.offset * 4, t.elements() * 4, tensors.at(t.name).data.data());
}

Napi::Value from_shape(Napi::Env env, int64_t rows, int64_t cols, bool is_vector) {
  Napi::Array shape = Napi::Array::New(env, is_vector ? 1 : 2);
  shape.Set(0u, double(rows));
  if (!is_vector) shape.Set(1u, double(cols));
  return shape;
}

Napi::Value from_tensors(Napi::Env env, TensorMap&& tensors) {
  const Napi::Object map = env.Global().Get("Map").As<Napi::Function>().New({});
  const Napi::Function set = map.Get("set").As<Napi::Function>();
  for (auto& [name, t] : tensors) {
    const Napi::HandleScope scope(env);
    const Napi::Value shape = from_shape(env, t.rows, t.cols, t.is_vector);
    Napi::Float32Array data = Napi::Float32Array::New(env, t.data.size());
    std::memcpy(data.Data(), t.data.data(), t.data.size() * 4);
    t.data = {};
    Napi::Object tensor = Napi::Object::New(env);
    tensor.Set("shape", shape);
    tensor.Set("data", data);
    set.Call(map, {Napi::String::New(env, name), tensor});
  }
  return map;
}

}  // namespace lowrank::addon
