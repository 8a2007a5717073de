#include "addon/convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "addon/mapped.h"

namespace lowrank::addon {

namespace {

[[noreturn]] void fail(const std::string& what, const char* expected) {
  throw Error("E_ARGUMENT", "Argument " + what + ": expected " + expected + ".", what);
}

Napi::Object to_object(const Napi::Value& v, const char* what) {
  if (!v.IsObject()) fail(what, "an object");
  return v.As<Napi::Object>();
}

double number(const Napi::Object& o, const char* key) { return to_number(o.Get(key), key); }

int64_t integer(const Napi::Object& o, const char* key) {
  const double d = number(o, key);
  if (d != std::floor(d) || std::abs(d) > 9007199254740991.0) fail(key, "an integer");
  return int64_t(d);
}

double number_or(const Napi::Object& o, const char* key, double otherwise) {
  const Napi::Value v = o.Get(key);
  return v.IsUndefined() || v.IsNull() ? otherwise : to_number(v, key);
}

int64_t integer_or(const Napi::Object& o, const char* key, int64_t otherwise) {
  const Napi::Value v = o.Get(key);
  return v.IsUndefined() || v.IsNull() ? otherwise : integer(o, key);
}

Napi::Int32Array int32_array(const Napi::Value& v, const char* what) {
  if (!v.IsTypedArray() || v.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) fail(what, "an Int32Array");
  return v.As<Napi::Int32Array>();
}

bool boolean(const Napi::Object& o, const char* key) {
  const Napi::Value v = o.Get(key);
  if (!v.IsBoolean()) fail(key, "true or false");
  return v.As<Napi::Boolean>().Value();
}

Format to_format(const std::string& name) {
  for (const FormatInfo& f : kFormats) {
    if (name == f.name) return f.format;
  }
  fail("dtype", "a format of weights");
}

FileRange to_range(const Napi::Value& v) {
  if (v.IsUndefined()) return {};
  const Napi::Object o = to_object(v, "tensor statistics");
  return {to_string(o.Get("file"), "statistics.file"), integer(o, "offset"), integer(o, "bytes")};
}

RopeScaling to_rope_scaling(const Napi::Value& v, int64_t max_positions) {
  RopeScaling s;
  if (v.IsNull() || v.IsUndefined()) return s;
  const Napi::Object o = to_object(v, "ropeScaling");
  const std::string type = to_string(o.Get("type"), "ropeScaling.type");
  if (type == "linear") s.type = RopeScaling::Type::linear;
  else if (type == "dynamic") s.type = RopeScaling::Type::dynamic;
  else if (type == "llama3") s.type = RopeScaling::Type::llama3;
  else fail("ropeScaling.type", "\"linear\", \"dynamic\" or \"llama3\"");
  s.factor = number(o, "factor");
  s.low_freq_factor = number_or(o, "lowFreqFactor", 1);
  s.high_freq_factor = number_or(o, "highFreqFactor", 4);
  s.original_max_positions = int64_t(number_or(o, "originalMaxPositions", double(max_positions)));
  return s;
}

}  // namespace

double to_number(const Napi::Value& v, const char* what) {
  if (!v.IsNumber()) fail(what, "a number");
  return v.As<Napi::Number>().DoubleValue();
}

std::string to_string(const Napi::Value& v, const char* what) {
  if (!v.IsString()) fail(what, "a string");
  return v.As<Napi::String>().Utf8Value();
}

QuantizeSpec to_quantize_spec(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "quantize");
  QuantizeSpec s;
  s.format = to_format(to_string(o.Get("format"), "quantize.format"));
  if (!is_four_bit(s.format) && s.format != Format::i8) fail("quantize.format", "\"nf4\", \"fp4\" or \"i8\"");
  s.double_quant = boolean(o, "doubleQuant");
  s.block_size = integer_or(o, "blockSize", 64);
  return s;
}

TensorEntry to_tensor(const Napi::Value& v) {
  const Napi::Object t = to_object(v, "tensor");
  TensorEntry e;
  e.name = to_string(t.Get("name"), "tensor.name");
  e.file = to_string(t.Get("file"), "tensor.file");
  e.format = to_format(to_string(t.Get("dtype"), "tensor.dtype"));
  e.interleaved = integer_or(t, "interleaved", 0);
  e.block_size = integer_or(t, "blockSize", 64);
  e.absmax = to_range(t.Get("absmax"));
  e.absmax_codes = to_range(t.Get("absmaxCodes"));
  e.absmax_map = to_range(t.Get("absmaxMap"));
  e.absmax_offset = number_or(t, "absmaxOffset", 0);
  e.outlier_threshold = number_or(t, "outlierThreshold", 0);
  const Napi::Value quantize = t.Get("quantize");
  if (!quantize.IsUndefined()) e.quantize = to_quantize_spec(quantize);
  e.offset = integer(t, "offset");
  e.bytes = integer(t, "bytes");
  const Napi::Value shape = t.Get("shape");
  if (!shape.IsArray()) fail("tensor.shape", "an array");
  const Napi::Array dims = shape.As<Napi::Array>();
  for (uint32_t d = 0; d < dims.Length(); d++) e.shape.push_back(int64_t(to_number(dims.Get(d), "tensor.shape[]")));
  return e;
}

ModelSource to_source(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "source"), c = to_object(o.Get("config"), "source.config");
  ModelSource s;
  s.folder = to_string(o.Get("folder"), "source.folder");
  s.config.model_type = to_string(c.Get("modelType"), "config.modelType");
  s.config.vocab = integer(c, "vocabSize");
  s.config.dim = integer(c, "hiddenSize");
  s.config.mlp_dim = integer(c, "intermediateSize");
  s.config.layers = integer(c, "layers");
  s.config.heads = integer(c, "heads");
  s.config.kv_heads = integer(c, "kvHeads");
  s.config.head_dim = integer(c, "headDim");
  s.config.max_positions = integer(c, "maxPositions");
  s.config.norm_eps = number(c, "rmsNormEps");
  s.config.rope_theta = number(c, "ropeTheta");
  s.config.rope_scaling = to_rope_scaling(c.Get("ropeScaling"), s.config.max_positions);
  s.config.tied_head = boolean(c, "tieWordEmbeddings");
  s.config.attention_bias = boolean(c, "attentionBias");
  s.config.mlp_bias = boolean(c, "mlpBias");
  const Napi::Value tensors = o.Get("tensors");
  if (!tensors.IsArray()) fail("source.tensors", "an array");
  const Napi::Array list = tensors.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    s.tensors.push_back(to_tensor(list.Get(i)));
  }
  return s;
}

AdapterSpec to_adapter_spec(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "adapter");
  AdapterSpec s;
  s.rank = integer(o, "rank");
  s.alpha = number(o, "alpha");
  s.dropout = number(o, "dropout");
  s.rslora = boolean(o, "useRslora");
  s.seed = uint64_t(integer(o, "seed"));
  const Napi::Value targets = o.Get("targets");
  if (!targets.IsArray()) fail("adapter.targets", "an array");
  const Napi::Array list = targets.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) s.targets.push_back(to_string(list.Get(i), "adapter.targets[]"));
  return s;
}

EngineOptions to_options(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "options");
  EngineOptions e;
  const std::string precision = to_string(o.Get("precision"), "options.precision");
  if (precision != "fp32" && precision != "bf16" && precision != "fp16") fail("options.precision", "\"fp32\", \"bf16\" or \"fp16\"");
  e.act = precision == "fp32" ? DType::f32 : precision == "bf16" ? DType::bf16 : DType::f16;
  e.threads = integer(o, "threads");
  e.max_tokens = integer(o, "maxTokens");
  e.max_sequence = integer(o, "maxSequence");
  e.cache_tokens = integer_or(o, "cacheTokens", e.max_sequence);
  e.training = boolean(o, "training");
  const Napi::Value optimizer = o.Get("optimizer");
  const std::string name = optimizer.IsUndefined() ? "adamw" : to_string(optimizer, "options.optimizer");
  if (name != "adamw" && name != "adamw_8bit") fail("options.optimizer", "\"adamw\" or \"adamw_8bit\"");
  e.adamw_8bit = name == "adamw_8bit";
  e.profile = o.Get("profile").ToBoolean();
  e.copies_weights = o.Get("copyWeights").ToBoolean();
  e.checkpointed_blocks = integer_or(o, "checkpointedBlocks", 0);
  return e;
}

std::vector<int32_t> to_int32s(const Napi::Value& v, const char* what) {
  const Napi::Int32Array a = int32_array(v, what);
  return {a.Data(), a.Data() + a.ElementLength()};
}

// What a batch is made in before an engine has seen it: half a gigabyte each of tokens and targets.
constexpr int64_t kMostTokens = int64_t(1) << 27;

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
    const Napi::Value masked = sequence.Get("lossMask");
    const uint8_t* mask = nullptr;
    const int64_t n = int64_t(ids.ElementLength());
    if (!masked.IsUndefined() && !masked.IsNull()) {
      const bool bytes = masked.IsTypedArray() && masked.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
      if (!bytes || int64_t(masked.As<Napi::Uint8Array>().ElementLength()) != n) {
        fail("batch.sequences[].lossMask", "a Uint8Array as long as inputIds");
      }
      mask = masked.As<Napi::Uint8Array>().Data();
    }
    const int64_t end = int64_t(b.ids.size()) + std::max(n, pad_to);
    if (end > kMostTokens) throw Error("E_BATCH", "Batch: more than " + std::to_string(kMostTokens) + " tokens.");
    const int32_t* first = ids.Data();
    buffers.insert(ids.ArrayBuffer().Data());
    b.ids.insert(b.ids.end(), first, first + n);
    b.ids.resize(size_t(end), int32_t(pad_id));
    for (int64_t i = 1; i < n; i++) b.targets.push_back(!mask || mask[i] ? first[i] : kIgnore);
    b.targets.resize(size_t(end), kIgnore);
    b.offsets.push_back(int32_t(end));
  }
  for (const void* buffer : buffers) check_mapped(buffer);
  return b;
}

OptimizerOptions to_optimizer(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "options");
  OptimizerOptions r;
  r.learning_rate = float(number(o, "learningRate"));
  r.weight_decay = float(number(o, "weightDecay"));
  r.max_grad_norm = float(number(o, "maxGradNorm"));
  r.loss_scale = number_or(o, "lossScale", 1);
  r.beta1 = number_or(o, "beta1", 0.9);
  r.beta2 = number_or(o, "beta2", 0.999);
  r.epsilon = float(number_or(o, "epsilon", 1e-8));
  return r;
}

Sampling to_sampling(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "sampling");
  return {float(number(o, "temperature")), integer(o, "topK"), float(number(o, "topP")), uint64_t(integer(o, "seed"))};
}

std::vector<std::pair<std::string, Napi::Object>> map_entries(const Napi::Value& v, const char* what) {
  const Napi::Object array = v.Env().Global().Get("Array").As<Napi::Object>();
  const Napi::Array list = array.Get("from").As<Napi::Function>().Call(array, {to_object(v, what)}).As<Napi::Array>();
  std::vector<std::pair<std::string, Napi::Object>> entries;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Object entry = to_object(list.Get(i), what);
    entries.emplace_back(to_string(entry.Get(0u), what), to_object(entry.Get(1u), what));
  }
  return entries;
}

TensorMap to_tensors(const Napi::Value& v, const char* what) {
  TensorMap tensors;
  for (const auto& [name, t] : map_entries(v, what)) {
    const Napi::Value shape = t.Get("shape"), data = t.Get("data");
    if (!shape.IsArray() || shape.As<Napi::Array>().Length() != 2) fail(what, "tensors with two dimensions");
    if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
      fail(what, "tensors with Float32Array data");
    }
    const Napi::Float32Array values = data.As<Napi::Float32Array>();
    TensorF32 tensor{int64_t(to_number(shape.As<Napi::Array>().Get(0u), what)),
                     int64_t(to_number(shape.As<Napi::Array>().Get(1u), what)),
                     {values.Data(), values.Data() + values.ElementLength()}};
    if (tensor.rows * tensor.cols != int64_t(tensor.data.size())) fail(what, "data of the size that the shape says");
    tensors[name] = std::move(tensor);
  }
  return tensors;
}

TensorMap unflatten(const AdapterLayout& layout, const float* flat) {
  TensorMap tensors;
  const int64_t r = layout.rank();
  for (const AdapterSite& s : layout.sites()) {
    const float *a = flat + s.a_offset, *b = flat + s.b_offset;
    tensors[s.name + ".lora_A.weight"] = {r, s.in, {a, a + r * s.in}};
    tensors[s.name + ".lora_B.weight"] = {s.out, r, {b, b + s.out * r}};
  }
  return tensors;
}

void flatten(const AdapterLayout& layout, const TensorMap& tensors, float* flat) {
  const auto find = [&](const std::string& name, int64_t rows, int64_t cols) -> const TensorF32& {
    const auto it = tensors.find(name);
    if (it == tensors.end()) throw Error("E_ADAPTER", "Adapter tensor " + name + " is missing.", name);
    if (it->second.rows != rows || it->second.cols != cols) {
      throw Error("E_ADAPTER", "Adapter tensor " + name + " has shape [" + std::to_string(it->second.rows) + ", " +
                                   std::to_string(it->second.cols) + "], expected [" + std::to_string(rows) + ", " +
                                   std::to_string(cols) + "].",
                  name);
    }
    return it->second;
  };
  const int64_t r = layout.rank();
  TensorMap known;
  std::vector<std::pair<const TensorF32*, int64_t>> copies;
  for (const AdapterSite& s : layout.sites()) {
    copies.emplace_back(&find(s.name + ".lora_A.weight", r, s.in), s.a_offset);
    copies.emplace_back(&find(s.name + ".lora_B.weight", s.out, r), s.b_offset);
    known[s.name + ".lora_A.weight"];
    known[s.name + ".lora_B.weight"];
  }
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name)) throw Error("E_ADAPTER", "Adapter tensor " + name + " belongs to no target module.", name);
  }
  // Nothing is changed before everything was found right.
  for (const auto& [tensor, offset] : copies) std::memcpy(flat + offset, tensor->data.data(), tensor->data.size() * 4);
}

Napi::Value from_tensors(Napi::Env env, TensorMap&& tensors) {
  const Napi::Object map = env.Global().Get("Map").As<Napi::Function>().New({});
  const Napi::Function set = map.Get("set").As<Napi::Function>();
  for (auto& [name, t] : tensors) {
    const Napi::HandleScope scope(env);
    Napi::Array shape = Napi::Array::New(env, 2);
    shape.Set(0u, double(t.rows));
    shape.Set(1u, double(t.cols));
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
