// libFuzzer harness for the addon's work on a model's description before it trusts it: checks, mapping, adapter layout. The
// tensors' file is real and small. The description is the fuzzer's.
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "base/error.h"
#include "model/adapter.h"
#include "model/weights.h"
#include "../native/tiny_spec.h"

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
  const ModelSpec& m = s.spec;
  int64_t offset = 0;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    s.tensors.push_back({name, weights_file(), Format::f32, std::move(shape), offset % kFileBytes, n * 4});
    offset += n * 4;
  };
  for (const int64_t n : {m.vocab, m.dim, m.block.mlp.width(), m.block.attention.heads, m.block.attention.kv_heads, m.block.attention.head_dim}) {
    if (n < 0 || n > 64) return;
  }
  if (m.layers < 0 || m.layers > 4) return;
  add(m.embedding, {m.vocab, m.dim});
  add(m.final_norm.weight, {m.dim});
  if (!m.tied_head) add(m.head, {m.vocab, m.dim});
  for (int64_t l = 0; l < m.layers; l++) {
    for (const auto& [norm, size] : m.block.norms(m.dim)) {
      if (*norm) add(m.name(l, norm->weight), {size});
    }
    for (const LinearSpec* linear : m.block.linears()) add(m.name(l, linear->module) + ".weight", {linear->out, linear->in});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  ModelSource s;
  s.folder = "/tmp";
  const int64_t sizes[] = {in.number(), in.number(), in.number(), in.number(), in.number(), in.number(), in.number()};
  for (const int64_t n : sizes) {
    if (n < -(int64_t(1) << 31) || n > int64_t(1) << 31) return 0;  // products of two overflow before the checks see them
  }
  s.spec = test::tiny_spec({sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]});
  s.spec.tied_head = in.take<uint8_t>() & 1;
  HeadView* const views[] = {&s.spec.block.attention.q, &s.spec.block.attention.k, &s.spec.block.attention.v};
  if (in.take<uint8_t>() < 50) *views[in.take<uint8_t>() % 3] = {in.number(), in.number(), in.number(), in.number()};
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
        case 4: t.format = Format(in.take<uint8_t>() % 3); break;
        case 5: t.name += char(in.take<uint8_t>()); break;
        default: t.offset = in.take<int64_t>(); break;
      }
    }
    check_source(s);
    LoadProgress progress;
    const ModelWeights weights(s, 1, false, progress);
    AdapterSpec spec;
    spec.rank = in.number();
    spec.targets = {"layers.0.q_proj", "layers.0.mlp.down_proj"};
    const AdapterLayout layout(s.spec, spec);
    // Accepted tensors can be read to their end.
    volatile float sum = weights.final_norm[s.spec.dim - 1] + weights.embedding.get(s.spec.vocab - 1, s.spec.dim - 1);
    for (const auto& block : weights.blocks) {
      for (const auto& linear : block.linears) sum = sum + linear.w.get(linear.w.rows - 1, linear.w.cols - 1);
    }
    if (layout.elements() < 0) std::abort();
  } catch (const Error&) {
    // The fault was reported.
  }
  return 0;
}
