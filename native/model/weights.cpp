#include "model/weights.h"

#include "base/error.h"

namespace lowrank {

namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); i++) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}

struct Need {
  std::string name;
  std::vector<int64_t> shape;
};

std::vector<Need> needed_tensors(const ModelConfig& c) {
  const Architecture& a = find_architecture(c.model_type);
  std::vector<Need> needs = {{a.embedding, {c.vocab, c.dim}}, {a.final_norm, {c.dim}}};
  if (!c.tied_head) needs.push_back({a.head, {c.vocab, c.dim}});
  for (int64_t l = 0; l < c.layers; l++) {
    const std::string block = a.block_prefix + std::to_string(l) + ".";
    needs.push_back({block + a.attention_norm, {c.dim}});
    needs.push_back({block + a.mlp_norm, {c.dim}});
    for (int s = 0; s < kSites; s++) {
      const auto [out, in] = linear_shape(c, Site(s));
      const std::string name = linear_name(a, l, Site(s));
      needs.push_back({name + ".weight", {out, in}});
      if (a.has_bias(c, Site(s))) needs.push_back({name + ".bias", {out}});
    }
  }
  return needs;
}

void check_config(const ModelSource& source) {
  const ModelConfig& c = source.config;
  const std::string where = source.folder + "/config.json";
  const auto positive = [&](int64_t v, const char* key) {
    if (v <= 0 || v > (int64_t(1) << 31)) {
      throw Error("E_CONFIG_VALUE", where + ": " + key + " is " + std::to_string(v) + ", expected a positive number.", where);
    }
  };
  positive(c.vocab, "vocab_size");
  positive(c.dim, "hidden_size");
  positive(c.mlp_dim, "intermediate_size");
  positive(c.layers, "num_hidden_layers");
  positive(c.heads, "num_attention_heads");
  positive(c.kv_heads, "num_key_value_heads");
  positive(c.head_dim, "head_dim");
  if (c.heads % c.kv_heads != 0 || c.head_dim % 2 != 0) {
    throw Error("E_CONFIG_VALUE",
                where + ": num_attention_heads must be a multiple of num_key_value_heads and head_dim must be even.", where);
  }
}

}  // namespace

void check_source(const ModelSource& source) {
  check_config(source);
  std::map<std::string, const TensorEntry*> index;
  for (const auto& t : source.tensors) index[t.name] = &t;
  for (const auto& need : needed_tensors(source.config)) {
    const auto it = index.find(need.name);
    if (it == index.end()) {
      throw Error("E_TENSOR_MISSING", source.folder + ": tensor " + need.name + " " + shape_text(need.shape) +
                      " is missing from the safetensors files. The folder is incomplete or its config.json belongs to another model.",
                  need.name);
    }
    const TensorEntry& t = *it->second;
    if (t.shape != need.shape) {
      throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + " has shape " + shape_text(t.shape) + ", expected " +
                      shape_text(need.shape) + " from config.json.",
                  t.name);
    }
    // No file is as large as what overflows.
    int64_t expected = dtype_bytes(t.dtype);
    bool overflows = false;
    for (int64_t d : t.shape) overflows = overflows || __builtin_mul_overflow(expected, d, &expected);
    if (overflows || t.bytes != expected || t.offset < 0) {
      throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + " occupies " + std::to_string(t.bytes) + " bytes, expected " +
                      (overflows ? "more than 2^63" : std::to_string(expected)) + ".",
                  t.name);
    }
  }
}

Weight ModelWeights::view(const ModelSource& source, const std::string& name, int64_t rows, int64_t cols) {
  const auto it = index_.find(name);
  if (it == index_.end()) throw Error("E_TENSOR_MISSING", source.folder + ": tensor " + name + " is missing.", name);
  const TensorEntry& t = *it->second;
  auto& file = files_[t.file];
  if (!file) file = MappedFile::shared(t.file);
  if (t.offset > file->bytes() - t.bytes) {
    throw Error("E_FILE", t.file + ": tensor " + name + " of " + std::to_string(t.bytes) + " bytes begins at byte " + std::to_string(t.offset) +
                    " of a file of " + std::to_string(file->bytes()) + " bytes: the file is cut short. Download it again.",
                t.file);
  }
  parameters += rows * cols;
  mapped_bytes += t.bytes;
  return {file->data() + t.offset, t.dtype, rows, cols};
}

const float* ModelWeights::vector_f32(const ModelSource& source, const std::string& name, int64_t n) {
  const Weight w = view(source, name, 1, n);
  auto& v = vectors_.emplace_back(size_t(n));
  for (int64_t i = 0; i < n; i++) v[size_t(i)] = w.get(0, i);
  return v.data();
}

ModelWeights::ModelWeights(const ModelSource& source) {
  check_source(source);
  for (const auto& t : source.tensors) index_[t.name] = &t;
  const ModelConfig& c = source.config;
  const Architecture& a = find_architecture(c.model_type);
  embedding = view(source, a.embedding, c.vocab, c.dim);
  head = c.tied_head ? embedding : view(source, a.head, c.vocab, c.dim);
  final_norm = vector_f32(source, a.final_norm, c.dim);
  blocks.resize(size_t(c.layers));
  for (int64_t l = 0; l < c.layers; l++) {
    BlockWeights& b = blocks[size_t(l)];
    const std::string block = a.block_prefix + std::to_string(l) + ".";
    b.attention_norm = vector_f32(source, block + a.attention_norm, c.dim);
    b.mlp_norm = vector_f32(source, block + a.mlp_norm, c.dim);
    for (int s = 0; s < kSites; s++) {
      const auto [out, in] = linear_shape(c, Site(s));
      const std::string name = linear_name(a, l, Site(s));
      b.linears[s].w = view(source, name + ".weight", out, in);
      if (a.has_bias(c, Site(s))) b.linears[s].bias = vector_f32(source, name + ".bias", out);
    }
  }
  index_.clear();  // it points into the source, which may not outlive this
}

}  // namespace lowrank
