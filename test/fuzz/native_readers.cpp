// libFuzzer harness for what the addon does with a model's description before it trusts it: checks, mapping, adapter layout.
// The file that the tensors lie in is real and small; the description is whatever the fuzzer makes of it.
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "base/error.h"
#include "model/adapter.h"
#include "model/weights.h"

namespace {

using namespace lowrank;

constexpr int64_t kFileBytes = 1 << 16;

const std::string& weights_file() {
  static const std::string path = [] {
    char name[] = "/tmp/lowrank-fuzz-XXXXXX";
    const int fd = mkstemp(name);
    const std::string zeros(kFileBytes, '\0');
    if (write(fd, zeros.data(), zeros.size()) != kFileBytes) std::abort();
    close(fd);
    return std::string(name);
  }();
  return path;
}

// Takes the input apart, and gives zeros once it is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  template <class T>
  T take() {
    T value{};
    const size_t n = std::min(left_, sizeof(T));
    std::memcpy(&value, data_, n);
    data_ += n;
    left_ -= n;
    return value;
  }
  // Mostly small, now and then anything.
  int64_t number() {
    const auto kind = take<uint8_t>();
    if (kind < 200) return kind % 33;
    return kind < 250 ? take<int16_t>() : take<int64_t>();
  }
  bool empty() const { return left_ == 0; }

 private:
  const uint8_t* data_;
  size_t left_;
};

// The tensors that the configuration asks for, as they should be.
void add_right_tensors(ModelSource& s) {
  const Architecture& a = find_architecture("llama");
  const ModelConfig& c = s.config;
  int64_t offset = 0;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    s.tensors.push_back({name, weights_file(), DType::f32, std::move(shape), offset % kFileBytes, n * 4});
    offset += n * 4;
  };
  for (const int64_t n : {c.vocab, c.dim, c.mlp_dim, c.heads, c.kv_heads, c.head_dim}) {
    if (n < 0 || n > 64) return;
  }
  if (c.layers < 0 || c.layers > 4) return;
  add(a.embedding, {c.vocab, c.dim});
  add(a.final_norm, {c.dim});
  if (!c.tied_head) add(a.head, {c.vocab, c.dim});
  for (int64_t l = 0; l < c.layers; l++) {
    const std::string block = a.block_prefix + std::to_string(l) + ".";
    add(block + a.attention_norm, {c.dim});
    add(block + a.mlp_norm, {c.dim});
    for (int site = 0; site < kSites; site++) {
      const auto [rows, cols] = linear_shape(c, Site(site));
      add(linear_name(a, l, Site(site)) + ".weight", {rows, cols});
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  ModelSource s;
  s.folder = "/tmp";
  ModelConfig& c = s.config;
  c.model_type = in.take<uint8_t>() < 250 ? "llama" : "other";
  c.vocab = in.number();
  c.dim = in.number();
  c.mlp_dim = in.number();
  c.layers = in.number();
  c.heads = in.number();
  c.kv_heads = in.number();
  c.head_dim = in.number();
  c.max_positions = in.number();
  c.tied_head = in.take<uint8_t>() & 1;
  try {
    add_right_tensors(s);
    // Then some of them as they should not be.
    while (!in.empty() && !s.tensors.empty()) {
      TensorEntry& t = s.tensors[size_t(in.take<uint16_t>()) % s.tensors.size()];
      switch (in.take<uint8_t>() % 7) {
        case 0: t.offset = in.number(); break;
        case 1: t.bytes = in.number(); break;
        case 2: t.shape.push_back(in.number()); break;
        case 3: if (!t.shape.empty()) t.shape[0] = in.number(); break;
        case 4: t.dtype = DType(in.take<uint8_t>() % 3); break;
        case 5: t.name += char(in.take<uint8_t>()); break;
        default: t.offset = in.take<int64_t>(); break;
      }
    }
    check_source(s);
    const ModelWeights weights(s);
    AdapterSpec spec;
    spec.rank = in.number();
    spec.targets = {"model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"};
    const AdapterLayout layout(c, spec);
    // What was accepted can be read to its end.
    volatile float sum = weights.final_norm[c.dim - 1] + weights.embedding.get(c.vocab - 1, c.dim - 1);
    for (const auto& block : weights.blocks) {
      for (const auto& linear : block.linears) sum = sum + linear.w.get(linear.w.rows - 1, linear.w.cols - 1);
    }
    if (layout.elements() < 0) std::abort();
  } catch (const Error&) {
    // What is wrong was said.
  }
  return 0;
}
