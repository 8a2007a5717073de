#include "slots.h"

#include <cstring>

namespace lowrank::test {

Slot& Slots::add(Slot slot) {
  // Rows of a padded matrix also begin off the 64 bytes, as a slice of an activation does.
  if (slot.ld > slot.cols) slot.offset = (slot.ld - slot.cols) % 4 * dtype_bytes(slot.dtype);
  return slots_.emplace_back(std::move(slot));
}

Slot& Slots::input(const std::string& name, DType t, int64_t rows, int64_t cols, std::vector<float> values, int64_t ld_pad) {
  Slot s{.name = name, .dtype = t, .rows = rows, .cols = cols, .ld = cols + ld_pad, .values = std::move(values)};
  return add(std::move(s));
}

Slot& Slots::vector(const std::string& name, std::vector<float> values) {
  const int64_t n = int64_t(values.size());
  return input(name, DType::f32, 1, n, std::move(values));
}

Slot& Slots::ints(const std::string& name, std::vector<int32_t> values) {
  const int64_t n = int64_t(values.size());
  Slot s{.name = name, .rows = 1, .cols = n, .ld = n, .ints = std::move(values)};
  return add(std::move(s));
}

Slot& Slots::output(const std::string& name, DType t, int64_t rows, int64_t cols, int64_t ld_pad) {
  return add({.name = name, .role = Role::output, .dtype = t, .rows = rows, .cols = cols, .ld = cols + ld_pad});
}

Slot& Slots::in_place(const std::string& name, DType t, int64_t rows, int64_t cols, std::vector<float> values,
                      int64_t ld_pad) {
  Slot& s = input(name, t, rows, cols, std::move(values), ld_pad);
  s.role = Role::in_place;
  return s;
}

const Slot* Slots::find(const std::string& name) const {
  for (const Slot& s : slots_) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

Memory::Memory(const Slots& slots, Kind kind) : slots_(&slots) {
  for (const Slot& s : slots.all()) {
    const bool twin = kind == Kind::twin;
    const DType t = twin && s.role != Role::input && !s.rounded ? DType::f32 : s.dtype;
    if (!twin && !s.alias.empty()) {
      entries_[s.name].mat = mat(s.alias);
      continue;
    }
    Entry e;
    const int64_t bytes = s.codes ? int64_t(s.codes->bytes.size()) : 0;
    e.memory = s.codes ? Guarded(1, 1, bytes, bytes, s.offset) : Guarded(dtype_bytes(t), s.rows, s.cols, s.ld, t == s.dtype ? s.offset : 0);
    e.mat = Mat(e.memory.data(), t, s.rows, s.cols, s.ld);
    fill(s, e.mat);
    entries_[s.name] = std::move(e);
  }
}

void Memory::fill(const Slot& s, const Mat& m) const {
  if (!s.ints.empty()) std::memcpy(m.data, s.ints.data(), s.ints.size() * 4);
  if (s.codes) std::memcpy(m.data, s.codes->bytes.data(), s.codes->bytes.size());
  if (s.values.empty()) return;
  // Weights may be misaligned: element by element through memcpy.
  for (int64_t r = 0; r < s.rows; r++) {
    for (int64_t c = 0; c < s.cols; c++) {
      char element[4];
      store_f32(element, m.dtype, 0, s.values[size_t(r * s.cols + c)]);
      std::memcpy(m.row(r) + c * dtype_bytes(m.dtype), element, size_t(dtype_bytes(m.dtype)));
    }
  }
}

void Memory::reset() {
  for (const Slot& s : slots_->all()) {
    const Mat m = mat(s.name);
    if (s.role == Role::input || !s.alias.empty()) continue;
    if (s.role == Role::in_place) {
      fill(s, m);
      continue;
    }
    for (int64_t r = 0; r < s.rows; r++) std::memset(m.row(r), 0xff, size_t(s.cols * dtype_bytes(m.dtype)));
  }
  for (const Slot& s : slots_->all()) {
    // An output over an input spoilt it.
    if (const Slot* target = s.alias.empty() ? nullptr : slots_->find(s.alias)) fill(*target, mat(s.alias));
  }
  scalar = 0.5;
}

Mat Memory::mat(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? Mat() : it->second.mat;
}

Weight Memory::weight(const std::string& name) const {
  const Mat m = mat(name);
  const Slot& s = *slots_->find(name);
  Weight w;
  if (s.codes) w = s.codes->weight;
  else w.format = format_of(m.dtype);
  w.interleaved = s.stored.interleaved;
  w.data = m.data;
  w.rows = m.rows;
  w.cols = m.cols;
  return w;
}

std::string Memory::damage() const {
  for (const auto& [name, e] : entries_) {
    const std::string where = e.memory.damage();
    if (!where.empty()) return name + ": written " + where;
  }
  return "";
}

}  // namespace lowrank::test
