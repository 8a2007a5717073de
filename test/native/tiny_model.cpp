#include "tiny_model.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

namespace lowrank::test {

TinyModel::TinyModel(const ModelSpec& spec, const Values& values, Format stored) {
  source.spec = spec;
  source.folder = "/tmp";
  char path[] = "/tmp/lowrank-unit-XXXXXX";
  const int fd = mkstemp(path);
  file_ = path;
  std::FILE* out = fdopen(fd, "wb");
  int64_t offset = 0;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    const std::vector<float>& v = tensors[name] = values(name, shape);
    const DType type = dtype_of(stored);
    std::vector<char> bytes(v.size() * size_t(dtype_bytes(type)));
    for (size_t i = 0; i < v.size(); i++) store_f32(bytes.data(), type, int64_t(i), v[i]);
    std::fwrite(bytes.data(), 1, bytes.size(), out);
    TensorEntry t;
    t.format = stored;
    t.name = name;
    t.file = file_;
    t.shape = std::move(shape);
    t.offset = offset;
    t.bytes = int64_t(bytes.size());
    offset += t.bytes;
    source.tensors.push_back(std::move(t));
  };
  add(spec.embedding, {spec.vocab, spec.table_dim()});
  if (!spec.tied_head && !spec.classifier) add(spec.head, {spec.vocab, spec.table_dim()});
  add(spec.final_norm.weight, {spec.dim});
  for (int64_t l = 0; l < spec.layers; l++) {
    for (const auto& [norm, size, rows] : spec.block.norms(spec.dim)) {
      if (*norm) add(spec.name(l, norm->weight), rows > 0 ? std::vector<int64_t>{rows, size / rows} : std::vector<int64_t>{size});
    }
  }
  spec.each_linear([&](int64_t layer, size_t, const LinearSpec& linear) {
    targets.push_back(spec.module(layer, linear));
    add(targets.back() + ".weight", {linear.out, linear.in});
    if (linear.bias) add(targets.back() + ".bias", {linear.out});
  });
  std::fclose(out);
}

TinyModel::~TinyModel() { std::remove(file_.c_str()); }

TinyModel::Values random_values(uint64_t seed) {
  return [r = std::make_shared<Random>(seed)](const std::string& name, const std::vector<int64_t>& shape) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    const float around = name.ends_with("norm.weight") ? 1 : 0;
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = around + (float(r->below(2001)) - 1000) / 8000;
    return values;
  };
}

Batch batch_of(uint64_t seed, int64_t vocab, const std::vector<int64_t>& lengths) {
  Random r{seed};
  Batch b;
  b.offsets.push_back(0);
  for (const int64_t length : lengths) {
    for (int64_t i = 0; i < length; i++) b.ids.push_back(int32_t(r.below(uint64_t(vocab))));
    for (int64_t i = 1; i < length; i++) b.targets.push_back(b.ids[b.ids.size() - size_t(length) + size_t(i)]);
    b.targets.push_back(kIgnore);
    b.offsets.push_back(int32_t(b.ids.size()));
  }
  return b;
}

}  // namespace lowrank::test
