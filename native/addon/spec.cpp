// A model's description from JavaScript (src/native/spec.ts and types.ts): the one crossing.
#include "addon/spec.h"

#include <cmath>

#include "addon/values.h"
#include "base/error.h"

namespace lowrank::addon {

Format to_format(const std::string& name) {
  for (const FormatInfo& f : kFormats) {
    if (name == f.name) return f.format;
  }
  fail("dtype", "a format of weights");
}

namespace {

FileRange to_range(const Napi::Value& v) {
  if (v.IsUndefined()) return {};
  const Napi::Object o = to_object(v, "tensor statistics");
  return {to_string(o.Get("file"), "statistics.file"), integer(o, "offset"), integer(o, "bytes")};
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

std::vector<double> to_numbers(const Napi::Object& o, const char* key) {
  std::vector<double> list;
  if (o.Get(key).IsUndefined()) return list;
  const Napi::Array values = to_array(o.Get(key), key);
  for (uint32_t i = 0; i < values.Length(); i++) list.push_back(to_number(values.Get(i), key));
  return list;
}

RopeSpec to_rope(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "attention.rope");
  RopeSpec r;
  r.theta = number(o, "theta");
  const Napi::Value scaling = o.Get("scaling");
  if (scaling.IsNull() || scaling.IsUndefined()) return r;
  const Napi::Object s = to_object(scaling, "rope.scaling");
  const std::string type = to_string(s.Get("type"), "rope.scaling.type");
  if (type == "linear") r.scaling.type = RopeScaling::Type::linear;
  else if (type == "dynamic") r.scaling.type = RopeScaling::Type::dynamic;
  else if (type == "llama3") r.scaling.type = RopeScaling::Type::llama3;
  else if (type == "yarn") r.scaling.type = RopeScaling::Type::yarn;
  else if (type == "longrope") r.scaling.type = RopeScaling::Type::longrope;
  else fail("rope.scaling.type", "\"linear\", \"dynamic\", \"llama3\", \"yarn\" or \"longrope\"");
  r.scaling.factor = number_or(s, "factor", 1);
  if (type == "linear") return r;
  r.scaling.original_max_positions = number(s, "originalMaxPositions");
  r.scaling.attention_factor = number_or(s, "attentionFactor", 1);
  r.scaling.beta_fast = number_or(s, "betaFast", 32);
  r.scaling.beta_slow = number_or(s, "betaSlow", 1);
  if (!s.Get("truncate").IsUndefined()) r.scaling.truncate = boolean(s, "truncate");
  r.scaling.short_factors = to_numbers(s, "shortFactors");
  r.scaling.long_factors = to_numbers(s, "longFactors");
  r.scaling.low_freq_factor = number_or(s, "lowFreqFactor", 1);
  r.scaling.high_freq_factor = number_or(s, "highFreqFactor", 4);
  return r;
}

bool is_absent(const Napi::Value& v) { return v.IsNull() || v.IsUndefined(); }
std::string string_or_empty(const Napi::Object& o, const char* key) { return is_absent(o.Get(key)) ? "" : to_string(o.Get(key), key); }

NormSpec to_norm(const Napi::Value& v) {
  if (is_absent(v)) return {};
  const Napi::Object o = to_object(v, "norm");
  return {to_string(o.Get("weight"), "norm.weight"), number(o, "eps"), number_or(o, "offset", 0), number_or(o, "factor", 1), string_or_empty(o, "bias"),
          o.Get("centred").ToBoolean()};
}

ResidualSpec to_residual(const Napi::Value& v) {
  if (v.IsUndefined()) return {};
  const Napi::Object o = to_object(v, "residual");
  return {to_norm(o.Get("norm")), number_or(o, "scale", 1), to_norm(o.Get("after")), number_or(o, "dropout", 0)};
}

AttentionKind to_kind(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "kind of attention");
  AttentionKind kind;
  kind.window = integer_or(o, "window", 0);
  kind.rotates = !o.Get("rope").IsNull();
  if (kind.rotates) kind.rope = to_rope(o.Get("rope"));
  return kind;
}

Activation to_activation(const Napi::Value& v) {
  const std::string name = to_string(v, "mlp.activation");
  if (name == "silu") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_tanh") return Activation::gelu_tanh;
  if (name == "relu") return Activation::relu;
  fail("mlp.activation", "\"silu\", \"gelu\", \"gelu_tanh\" or \"relu\"");
}

LinearSpec to_linear(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "linear");
  return {to_string(o.Get("module"), "linear.module"), integer(o, "out"), integer(o, "in"), o.Get("bias").ToBoolean()};
}

HeadView to_view(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "view of heads");
  return {integer(o, "linear"), integer(o, "offset"), integer(o, "groupStride"), integer(o, "headStride")};
}

AttentionSpec to_attention(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "attention");
  AttentionSpec a;
  a.norm = to_norm(o.Get("norm"));
  const Napi::Array inputs = to_array(o.Get("inputs"), "attention.inputs");
  for (uint32_t i = 0; i < inputs.Length(); i++) a.inputs.push_back(to_linear(inputs.Get(i)));
  a.q = to_view(o.Get("q"));
  a.k = to_view(o.Get("k"));
  a.v = to_view(o.Get("v"));
  a.out = to_linear(o.Get("out"));
  a.heads = integer(o, "heads");
  a.kv_heads = integer(o, "kvHeads");
  a.head_dim = integer(o, "headDim");
  a.q_norm = to_norm(o.Get("qNorm"));
  a.k_norm = to_norm(o.Get("kNorm"));
  a.norm_whole = o.Get("normWhole").ToBoolean();
  a.norm_each = o.Get("normEach").ToBoolean();
  a.rotary_dim = integer_or(o, "rotaryDim", a.head_dim);
  a.interleaved = o.Get("interleaved").ToBoolean();
  a.scale = number_or(o, "scale", double(1.f / std::sqrt(float(a.head_dim))));
  a.soft_cap = number_or(o, "softCap", 0);
  a.causal = !o.Get("bidirectional").ToBoolean();
  a.dropout = number_or(o, "dropout", 0);
  if (!is_absent(o.Get("keyBias"))) {
    const Napi::Object bias = to_object(o.Get("keyBias"), "attention.keyBias");
    a.key_bias = {to_numbers(bias, "slopes"), number_or(bias, "scale", 1), bias.Get("rounded").ToBoolean()};
  }
  a.kinds.clear();
  const Napi::Array kinds = to_array(o.Get("kinds"), "attention.kinds");
  for (uint32_t i = 0; i < kinds.Length(); i++) a.kinds.push_back(to_kind(kinds.Get(i)));
  if (const Napi::Value layers = o.Get("layerKinds"); !layers.IsUndefined()) {
    for (const double kind : to_numbers(o, "layerKinds")) a.layer_kinds.push_back(int64_t(kind));
  }
  a.residual = to_residual(o.Get("residual"));
  return a;
}

MlpSpec to_mlp(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "mlp");
  MlpSpec m;
  m.norm = to_norm(o.Get("norm"));
  const Napi::Array inputs = to_array(o.Get("inputs"), "mlp.inputs");
  for (uint32_t i = 0; i < inputs.Length(); i++) m.inputs.push_back(to_linear(inputs.Get(i)));
  m.down = to_linear(o.Get("down"));
  m.activation = to_activation(o.Get("activation"));
  m.residual = to_residual(o.Get("residual"));
  return m;
}

LabelLoss to_loss(const std::string& name) {
  if (name == "single_label_classification") return LabelLoss::single_label_classification;
  if (name == "regression") return LabelLoss::regression;
  if (name == "multi_label_classification") return LabelLoss::multi_label_classification;
  fail("classifier.loss", "\"single_label_classification\", \"regression\" or \"multi_label_classification\"");
}

HeadFunction to_function(const std::string& name) {
  if (name == "none") return HeadFunction::none;
  if (name == "tanh") return HeadFunction::tanh;
  if (name == "relu") return HeadFunction::relu;
  fail("layer.function", "\"none\", \"tanh\" or \"relu\"");
}

ClassifierSpec to_classifier(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "classifier");
  ClassifierSpec c;
  c.last_token = boolean(o, "lastToken");
  c.pad_id = integer_or(o, "padId", -1);
  c.loss = to_loss(to_string(o.Get("loss"), "classifier.loss"));
  c.init_std = number(o, "initStd");
  const Napi::Array layers = to_array(o.Get("layers"), "classifier.layers");
  for (uint32_t i = 0; i < layers.Length(); i++) {
    const Napi::Object l = to_object(layers.Get(i), "classifier.layers[]");
    c.layers.push_back({to_linear(l.Get("linear")), to_function(to_string(l.Get("function"), "layer.function")), number(l, "dropout")});
  }
  return c;
}

}  // namespace

ModelSpec to_spec(const Napi::Value& v) {
  const Napi::Object o = to_object(v, "source.spec"), block = to_object(o.Get("block"), "spec.block");
  ModelSpec s;
  s.vocab = integer(o, "vocab");
  s.dim = integer(o, "dim");
  s.embedding = to_string(o.Get("embedding"), "spec.embedding");
  s.head = to_string(o.Get("head"), "spec.head");
  s.tied_head = boolean(o, "tiedHead");
  s.head_bias = string_or_empty(o, "headBias");
  if (!is_absent(o.Get("embeddingLinear"))) s.embedding_linear = to_linear(o.Get("embeddingLinear"));
  if (!is_absent(o.Get("finalLinear"))) s.final_linear = to_linear(o.Get("finalLinear"));
  if (!is_absent(o.Get("positions"))) {
    const Napi::Object positions = to_object(o.Get("positions"), "spec.positions");
    s.positions = to_string(positions.Get("weight"), "positions.weight");
    s.position_rows = integer(positions, "rows");
    s.position_offset = integer(positions, "offset");
  }
  if (!is_absent(o.Get("tokenTypes"))) {
    const Napi::Object types = to_object(o.Get("tokenTypes"), "spec.tokenTypes");
    s.token_types = to_string(types.Get("weight"), "tokenTypes.weight");
    s.type_rows = integer(types, "rows");
  }
  s.embedding_norm = to_norm(o.Get("embeddingNorm"));
  s.final_norm = to_norm(o.Get("finalNorm"));
  s.embedding_scale = number_or(o, "embeddingScale", 1);
  s.embedding_dropout = number_or(o, "embeddingDropout", 0);
  s.logit_cap = number_or(o, "logitCap", 0);
  s.layer_prefix = to_string(o.Get("layerPrefix"), "spec.layerPrefix");
  s.layers = integer(o, "layers");
  s.block.attention = to_attention(block.Get("attention"));
  s.block.mlp = to_mlp(block.Get("mlp"));
  if (const Napi::Value c = o.Get("classifier"); !c.IsUndefined()) s.classifier = to_classifier(c);
  s.block.parallel = block.Get("parallel").ToBoolean();
  s.block.shares_mask = block.Get("sharesMask").ToBoolean();
  return s;
}

TensorEntry to_tensor(const Napi::Value& v) {
  const Napi::Object t = to_object(v, "tensor");
  TensorEntry e;
  e.name = to_string(t.Get("name"), "tensor.name");
  e.file = to_string(t.Get("file"), "tensor.file");
  e.format = to_format(to_string(t.Get("dtype"), "tensor.dtype"));
  e.interleaved = integer_or(t, "interleaved", 0);
  e.transposed = t.Get("transposed").ToBoolean();
  if (!t.Get("rowBlocks").IsUndefined()) {
    for (const double block : to_numbers(t, "rowBlocks")) e.row_blocks.push_back(int64_t(block));
  }
  e.block_size = integer_or(t, "blockSize", 64);
  e.absmax = to_range(t.Get("absmax"));
  e.absmax_codes = to_range(t.Get("absmaxCodes"));
  e.absmax_map = to_range(t.Get("absmaxMap"));
  e.absmax_offset = number_or(t, "absmaxOffset", 0);
  e.outlier_threshold = number_or(t, "outlierThreshold", 0);
  if (!t.Get("gradientCodes").IsUndefined()) {
    const std::string codes = to_string(t.Get("gradientCodes"), "tensor.gradientCodes");
    if (codes != "nearest" && codes != "stochastic") fail("tensor.gradientCodes", "nearest or stochastic");
    e.gradient_codes = codes == "nearest" ? GradientCodes::nearest : GradientCodes::stochastic;
  }
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
  const Napi::Object o = to_object(v, "source");
  ModelSource s;
  s.folder = to_string(o.Get("folder"), "source.folder");
  s.spec = to_spec(o.Get("spec"));
  const Napi::Array list = to_array(o.Get("tensors"), "source.tensors");
  for (uint32_t i = 0; i < list.Length(); i++) s.tensors.push_back(to_tensor(list.Get(i)));
  return s;
}

}  // namespace lowrank::addon
