#include "model/weights.h"

#include <compare>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/large_pages.h"
#include "model/finite.h"

namespace lowrank {

namespace {

// What goes on in 8 bits beside a weight of i8.
void set_rounding(Weight& w, const TensorEntry& t) {
  w.outlier_threshold = float(t.outlier_threshold);
  w.gradient_codes = t.gradient_codes;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); i++) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}

struct Need {
  std::string name;
  std::vector<int64_t> shape;
};

void add_linear(std::vector<Need>& needs, const std::string& module, const LinearSpec& l) {
  needs.push_back({module + ".weight", {l.out, l.in}});
  if (l.bias) needs.push_back({module + ".bias", {l.out}});
}

// The tensors of a classifier's layers, as far as the files have them.
std::vector<Need> initial_tensors(const ModelSpec& m, const std::map<std::string, const TensorEntry*>& index) {
  std::vector<Need> needs;
  for (const DenseSpec& layer : m.classifier ? m.classifier->layers : std::vector<DenseSpec>()) {
    if (index.contains(layer.linear.module + ".weight")) add_linear(needs, layer.linear.module, layer.linear);
  }
  return needs;
}

// The names of a norm's tensor, or of the tensors of each head.
std::vector<std::string> parts_of(const std::string& tensor, int64_t heads) {
  const size_t star = tensor.find('*');
  if (star == std::string::npos || heads == 0) return {tensor};
  std::vector<std::string> parts;
  for (int64_t h = 0; h < heads; h++) parts.push_back(std::string(tensor).replace(star, 1, std::to_string(h)));
  return parts;
}

std::vector<Need> needed_tensors(const ModelSpec& m) {
  std::vector<Need> needs = {{m.embedding, {m.vocab, m.table_dim()}}};
  const auto add_norm = [&](const BlockSpec::SizedNorm& norm, auto&& name) {
    for (const std::string* tensor : {&norm.norm->weight, &norm.norm->bias}) {
      if (tensor->empty()) continue;
      const std::vector<std::string> parts = parts_of(*tensor, norm.rows);
      const int64_t n = norm.size / int64_t(parts.size());
      const bool matrix = norm.rows > 0 && parts.size() == 1;
      for (const std::string& part : parts) needs.push_back({name(part), matrix ? std::vector{norm.rows, n / norm.rows} : std::vector{n}});
    }
  };
  const auto of_model = [](const std::string& name) { return name; };
  if (!m.positions.empty()) needs.push_back({m.positions, {m.position_rows, m.dim}});
  if (!m.token_types.empty()) needs.push_back({m.token_types, {m.type_rows, m.dim}});
  add_norm({&m.embedding_norm, m.dim}, of_model);
  add_norm({&m.final_norm, m.dim}, of_model);
  if (!m.tied_head && !m.classifier) needs.push_back({m.head, {m.vocab, m.table_dim()}});
  if (!m.head_bias.empty() && !m.classifier) needs.push_back({m.head_bias, {m.vocab}});
  for (int64_t l = 0; l < m.layers; l++) {
    for (const auto& norm : m.block.norms(m.dim)) add_norm(norm, [&](const std::string& name) { return m.name(l, name); });
  }
  m.each_linear([&](int64_t layer, size_t, const LinearSpec& linear) { add_linear(needs, m.module(layer, linear), linear); });
  return needs;
}

[[noreturn]] void wrong_bytes(const TensorEntry& t, const std::string& what, int64_t found, const std::string& expected) {
  throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + what + " occupies " + std::to_string(found) + " bytes, expected " + expected + ".",
              t.name);
}

void check_range(const TensorEntry& t, const char* what, const FileRange& r, int64_t expected) {
  if (r.file.empty()) throw Error("E_QUANTIZED", t.file + ": tensor " + t.name + what + " is missing: the weight cannot be decoded.", t.name);
  if (r.bytes != expected || r.offset < 0) wrong_bytes(t, what, r.bytes, std::to_string(expected));
}

}  // namespace

void check_tensor(const TensorEntry& t) {
  // No file is as large as a product that overflows.
  int64_t elements = 1;
  bool overflows = t.shape.empty();
  for (int64_t d : t.shape) overflows = overflows || d < 1 || __builtin_mul_overflow(elements, d, &elements);
  overflows = overflows || elements > (int64_t(1) << 58);
  if (overflows) wrong_bytes(t, "", t.bytes, "fewer than 2^63");
  const FormatInfo& info = format_info(t.format);
  if (t.shape.back() % info.block != 0 && !is_four_bit(t.format)) {
    throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + " has rows of " + std::to_string(t.shape.back()) + " elements, but " +
                    info.name + " is stored in blocks of " + std::to_string(info.block) + ".",
                t.name);
  }
  const int64_t expected = format_bytes(t.format, elements);
  if (t.bytes != expected || t.offset < 0) wrong_bytes(t, "", t.bytes, std::to_string(expected));
  if (t.interleaved != 0 && (t.interleaved < 2 || t.interleaved % 2 != 0 || t.shape[0] % t.interleaved != 0)) {
    throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + " of " + std::to_string(t.shape[0]) + " rows has heads of " +
                    std::to_string(t.interleaved) + " interleaved rows.",
                t.name);
  }
  if (!t.row_blocks.empty()) {
    const int64_t blocks = int64_t(t.row_blocks.size());
    const std::set<int64_t> stored(t.row_blocks.begin(), t.row_blocks.end());
    const bool permutes = int64_t(stored.size()) == blocks && *stored.begin() == 0 && *stored.rbegin() == blocks - 1;
    const bool whole_rows = !is_four_bit(t.format) && t.format != Format::i8 && t.interleaved == 0 && !t.transposed;
    if (!permutes || !whole_rows || t.shape[0] % blocks != 0 || (t.shape.size() == 1 && !is_plain(t.format))) {
      throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + " of " + std::to_string(t.shape[0]) + " rows cannot be put in the order of " +
                      std::to_string(blocks) + " blocks.",
                  t.name);
    }
  }
  if (t.transposed && !(is_plain(t.format) && t.interleaved == 0 && t.shape.size() == 2)) {
    throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + ": only matrices that are stored plainly can be transposed.", t.name);
  }
  if (t.quantize.format != Format::f32 && !(is_plain(t.format) && t.interleaved == 0)) {
    throw Error("E_QUANTIZED", t.file + ": tensor " + t.name + " is stored as " + info.name + ": only what is stored plainly can be quantised.", t.name);
  }
  if (t.quantize.block_size < 2 || t.quantize.block_size % 2 != 0 || t.quantize.block_size > 4096) {
    throw Error("E_QUANTIZED", "Blocks of " + std::to_string(t.quantize.block_size) + " elements, expected an even number up to 4096.", t.name);
  }
  if (!(t.outlier_threshold >= 0)) {
    throw Error("E_QUANTIZED", t.file + ": tensor " + t.name + " has an outlier threshold of " + std::to_string(t.outlier_threshold) +
                    ", expected 0 (activations are not rounded) or a positive number.",
                t.name);
  }
  if (t.format == Format::i8) check_range(t, ".SCB", t.absmax, t.shape[0] * 4);
  if (!is_four_bit(t.format)) return;
  if (t.block_size < 1 || t.block_size > 65536) {
    throw Error("E_QUANTIZED", t.file + ": tensor " + t.name + " has blocks of " + std::to_string(t.block_size) + " elements, expected 1 to 65536.", t.name);
  }
  const int64_t blocks = (elements + t.block_size - 1) / t.block_size;
  if (t.absmax_codes.file.empty()) {
    check_range(t, ".absmax", t.absmax, blocks * 4);
    return;
  }
  check_range(t, ".absmax", t.absmax_codes, blocks);
  check_range(t, ".nested_absmax", t.absmax, (blocks + 255) / 256 * 4);
  check_range(t, ".nested_quant_map", t.absmax_map, 256 * 4);
}

void check_source(const ModelSource& source) {
  check_spec(source);
  std::map<std::string, const TensorEntry*> index;
  for (const auto& t : source.tensors) index[t.name] = &t;
  std::vector<Need> needs = needed_tensors(source.spec), initial = initial_tensors(source.spec, index);
  needs.insert(needs.end(), initial.begin(), initial.end());
  for (const auto& need : needs) {
    const auto it = index.find(need.name);
    if (it == index.end()) {
      throw Error("E_TENSOR_MISSING", source.folder + ": tensor " + need.name + " " + shape_text(need.shape) +
                      " is missing from the safetensors files. The folder is incomplete or its config.json belongs to another model.",
                  need.name);
    }
    const TensorEntry& t = *it->second;
    const std::vector<int64_t> expected = t.transposed ? std::vector(need.shape.rbegin(), need.shape.rend()) : need.shape;
    if (t.shape != expected) {
      throw Error("E_TENSOR_SHAPE", t.file + ": tensor " + t.name + " has shape " + shape_text(t.shape) + ", expected " +
                      shape_text(expected) + " from config.json.",
                  t.name);
    }
    check_tensor(t);
  }
}

const TensorEntry& ModelWeights::entry(const ModelSource& source, const std::string& name) const {
  const auto it = index_.find(name);
  if (it == index_.end()) throw Error("E_TENSOR_MISSING", source.folder + ": tensor " + name + " is missing.", name);
  return *it->second;
}

StoredWeight ModelWeights::view(const ModelSource& source, const std::string& name, int64_t rows, int64_t cols) {
  const TensorEntry& t = entry(source, name);
  parameters += rows * cols;
  Weight w{.data = mapped({t.file, t.offset, t.bytes}, name), .format = t.format, .rows = rows, .cols = cols};
  w.interleaved = t.interleaved;
  w.transposed = t.transposed;
  w.block_size = t.block_size;
  if (t.format == Format::i8) set_rounding(w, t);
  if (!t.absmax.file.empty()) w.absmax = mapped(t.absmax, name);
  if (!t.absmax_codes.file.empty()) {
    w.absmax_codes = static_cast<const uint8_t*>(mapped(t.absmax_codes, name));
    auto& map = vectors_.emplace_back(size_t(256));
    std::memcpy(map.data(), mapped(t.absmax_map, name), 256 * 4);
    w.absmax_map = map.data();
    w.absmax_offset = float(t.absmax_offset);
  }
  return {w, t.row_blocks};
}

Weight ModelWeights::in_order(const TensorEntry& t, const StoredWeight& stored) {
  Weight w = stored.weight;
  if (t.row_blocks.empty()) return w;
  w.data = copies_.emplace_back(stored.in_order()).data();
  files_[t.file]->release_pages(t.offset, t.bytes);
  return w;
}

const void* ModelWeights::mapped(const FileRange& range, const std::string& name) {
  auto& file = files_[range.file];
  if (!file) file = MappedFile::shared(range.file);
  if (range.offset > file->bytes() - range.bytes) {
    throw Error("E_FILE", range.file + ": tensor " + name + " of " + std::to_string(range.bytes) + " bytes begins at byte " +
                    std::to_string(range.offset) + " of a file of " + std::to_string(file->bytes()) +
                    " bytes: the file is cut short. Download it again.",
                range.file);
  }
  return file->data() + range.offset;
}

std::vector<float> ModelWeights::values(const ModelSource& source, const std::string& name, int64_t rows, int64_t cols) {
  const StoredWeight w = view(source, name, rows, cols);
  std::vector<float> v(size_t(rows * cols));
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) v[size_t(r * cols + c)] = w.get(r, c);
  }
  return v;
}

std::vector<float>& ModelWeights::vector_f32(const ModelSource& source, const std::string& name, int64_t n) {
  return vectors_.emplace_back(values(source, name, 1, n));
}

template <class Name>
NormWeights ModelWeights::norm(const ModelSource& source, const BlockSpec::SizedNorm& sized, Name&& name) {
  const NormSpec& spec = *sized.norm;
  const auto read = [&](const std::string& tensor, double offset) {
    const std::vector<std::string> parts = parts_of(tensor, sized.rows);
    const int64_t n = sized.size / int64_t(parts.size());
    auto& v = vector_f32(source, name(parts[0]), n);
    for (size_t i = 1; i < parts.size(); i++) {
      const std::vector<float> part = values(source, name(parts[i]), 1, n);
      v.insert(v.end(), part.begin(), part.end());
    }
    if (offset != 0 || spec.factor != 1) {
      for (float& x : v) x = float(spec.factor * double(float(offset) + x));
    }
    return v.data();
  };
  NormWeights w;
  if (spec) w.weight = read(spec.weight, spec.offset);
  if (spec && !spec.bias.empty()) w.bias = read(spec.bias, 0);
  return w;
}

Weight ModelWeights::quantized(const TensorEntry& t, const StoredWeight& stored) {
  struct Key {
    MappedFile::Identity file;
    int64_t offset, block_size;
    Format format;
    bool double_quant;
    auto operator<=>(const Key&) const = default;
  };
  static std::mutex mutex;
  static std::map<Key, std::weak_ptr<const QuantizedWeight>> known;
  const std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = known[{files_[t.file]->identity(), t.offset, t.quantize.block_size, t.quantize.format, t.quantize.double_quant}];
  auto found = entry.lock();
  if (!found) {
    Weight w = stored.weight;
    std::vector<char> copy;
    if (!t.row_blocks.empty()) w.data = (copy = stored.in_order()).data();
    found = std::make_shared<const QuantizedWeight>(w, t.quantize, *pool_);
    files_[t.file]->check_unchanged();  // others would have it, too
    check_quantized(t, *found);
    entry = found;
    files_[t.file]->release_pages(t.offset, t.bytes);
  }
  Weight view = quantized_.emplace_back(std::move(found))->view();
  if (view.format == Format::i8) set_rounding(view, t);
  return view;
}

Weight ModelWeights::loaded(const ModelSource& source, const std::string& name, const StoredWeight& stored) {
  const TensorEntry& t = entry(source, name);
  if (t.quantize.format == Format::f32) return in_order(t, stored);
  const Weight w = quantized(t, stored);
  ++progress_->quantized;
  return w;
}

Weight ModelWeights::table(const ModelSource& source, const std::string& name, int64_t rows, int64_t cols) {
  return in_order(entry(source, name), view(source, name, rows, cols));
}

LinearWeights ModelWeights::linear(const ModelSource& source, const std::string& module, const LinearSpec& spec) {
  LinearWeights l;
  l.stored = view(source, module + ".weight", spec.out, spec.in);
  l.w = loaded(source, module + ".weight", l.stored);
  if (spec.bias) l.bias = vector_f32(source, module + ".bias", spec.out).data();
  return l;
}

const LinearWeights* ModelWeights::linear_of(const ModelSpec& model, const std::string& module) const {
  const LinearWeights* found = nullptr;
  model.each_linear([&](int64_t layer, size_t i, const LinearSpec& linear) {
    if (model.module(layer, linear) == module) found = &linear_at(layer, i);
  });
  return found;
}

void ModelWeights::dense_layer(const ModelSource& source, const LinearSpec& l) {
  DenseWeights& d = dense.emplace_back();
  if (!index_.contains(l.module + ".weight")) {
    parameters += l.out * (l.in + (l.bias ? 1 : 0));
    return;
  }
  d.w = vectors_.emplace_back(values(source, l.module + ".weight", l.out, l.in)).data();
  if (l.bias) d.bias = vector_f32(source, l.module + ".bias", l.out).data();
}

void ModelWeights::enlarge_pages(const ModelSource& source, bool copies) {
  std::map<std::string, std::vector<MappedFile::Range>> ranges;
  for (const TensorEntry& t : source.tensors) {
    // Vectors are held as f32, and of positions, of token types and of an embedding that is not the head a step reads some rows.
    if (t.shape.size() < 2 || !t.row_blocks.empty() || t.name == source.spec.positions || t.name == source.spec.token_types) continue;
    if (t.quantize.format != Format::f32 || ((!source.spec.tied_head || source.spec.classifier) && t.name == source.spec.embedding)) continue;
    ranges[t.file].push_back({t.offset, t.bytes});
    if (t.absmax.bytes > 0) ranges[t.absmax.file].push_back({t.absmax.offset, t.absmax.bytes});
    if (t.absmax_codes.bytes > 0) ranges[t.absmax_codes.file].push_back({t.absmax_codes.offset, t.absmax_codes.bytes});
  }
  std::vector<std::pair<const MappedFile*, std::vector<char*>>> pages;
  for (auto& [path, list] : ranges) {
    const auto file = files_.find(path);
    if (file == files_.end()) continue;
    pages.emplace_back(file->second.get(), file->second->pages_to_copy(std::move(list)));
    if (copies) progress_->to_copy += int64_t(pages.back().second.size()) * kLargePage;
  }
  for (const auto& [file, list] : pages) {
    if (copies) file->copy_pages(list, *pool_, progress_->copied);
    else file->read_anew(list);
  }
}

void ModelWeights::check_unchanged() const {
  for (const auto& [path, file] : files_) file->check_unchanged();
}

ModelWeights::ModelWeights(const ModelSource& source, int threads, SmallPages small_pages, LoadProgress& progress) {
  check_source(source);
  ThreadPool pool(threads);
  pool_ = &pool;
  progress_ = &progress;
  for (const auto& t : source.tensors) index_[t.name] = &t;
  const ModelSpec& m = source.spec;
  embedding = table(source, m.embedding, m.vocab, m.table_dim());
  head = m.tied_head || m.classifier ? embedding : loaded(source, m.head, view(source, m.head, m.vocab, m.table_dim()));
  if (const auto& l = m.embedding_linear) embedding_linear = linear(source, l->module, *l);
  if (const auto& l = m.final_linear) final_linear = linear(source, l->module, *l);
  if (!m.head_bias.empty() && !m.classifier) head_bias = vector_f32(source, m.head_bias, m.vocab).data();
  if (!m.positions.empty()) {
    positions = table(source, m.positions, m.position_rows, m.dim);
    positions.data = positions.row(m.position_offset);
    positions.rows = m.most_positions();
  }
  if (!m.token_types.empty()) token_types = table(source, m.token_types, m.type_rows, m.dim);
  const auto of_model = [](const std::string& name) { return name; };
  embedding_norm = norm(source, {&m.embedding_norm, m.dim}, of_model);
  final_norm = norm(source, {&m.final_norm, m.dim}, of_model);
  blocks.resize(size_t(m.layers));
  for (int64_t l = 0; l < m.layers; l++) {
    BlockWeights& b = blocks[size_t(l)];
    const auto norms = m.block.norms(m.dim);
    for (size_t i = 0; i < BlockSpec::kNorms; i++) {
      b.norms[i] = norm(source, norms[i], [&](const std::string& name) { return m.name(l, name); });
    }
    for (const LinearSpec* each : m.block.linears()) b.linears.push_back(linear(source, m.name(l, each->module), *each));
  }
  for (const DenseSpec& layer : m.classifier ? m.classifier->layers : std::vector<DenseSpec>()) dense_layer(source, layer.linear);
  if (small_pages != SmallPages::stay) enlarge_pages(source, small_pages == SmallPages::copied);
  check_unchanged();
  pool_ = nullptr;
  progress_ = nullptr;
  index_.clear();  // it points into the source, which may not outlive this
}

}  // namespace lowrank
