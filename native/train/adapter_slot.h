// One adapter of an engine: its parameters and, in training, their gradients and moments.
#pragma once
#include "base/arena.h"
#include "block/pass.h"
#include "train/layout.h"
#include "train/moment_layout.h"

namespace lowrank {

// Error E_OPTIONS.
void check_adapter_spec(const AdapterSpec&);

class AdapterSlot {
 public:
  AdapterSlot(Backend&, const ModelSpec&, const AdapterSpec&, const EngineOptions&);
  // The items that one will hold.
  static void plan(Arena&, const AdapterLayout&, const EngineOptions&);

  const AdapterSpec& spec() const { return spec_; }
  const AdapterLayout& layout() const { return layout_; }
  Adapter view() const;

  // Flat f32 buffers in the order of layout(); gradients and moments exist in training engines only (Error E_STATE).
  Buffer parameters() const { return buffer(offsets_.parameters); }
  Buffer gradients() const { return buffer(training(offsets_.gradients)); }
  // With 8-bit AdamW the moments lie as moments() tells instead, in moment_bytes() (Error E_STATE).
  Buffer adam_m() const { return buffer(f32_moments(offsets_.adam_m)); }
  Buffer adam_v() const { return buffer(f32_moments(offsets_.adam_v)); }
  bool has_8bit_moments() const { return options_.training && options_.adamw_8bit; }
  const std::vector<MomentPart>& moments() const { return offsets_.adam_8bit.parts(); }
  Buffer moment_bytes() const;

  // AdamW of all parameters; p, m, v, g and n of the arguments are ignored.
  void update(const AdamWArgs&) const;
  void clear_gradients() const;

  int64_t steps = 0;  // of the optimizer

 private:
  struct Offsets {
    int64_t parameters = 0, gradients = 0, adam_m = 0, adam_v = 0;
    MomentLayout adam_8bit;  // 8-bit AdamW: it lies at `moments` instead of adam_m and adam_v
    int64_t moments = 0;
    Offsets(Arena&, const AdapterLayout&, const EngineOptions&);
  };

  Buffer buffer(int64_t offset) const { return Buffer(backend_, arena_.at(offset)); }
  int64_t training(int64_t offset) const;
  int64_t f32_moments(int64_t offset) const;

  Backend& backend_;
  EngineOptions options_;
  AdapterSpec spec_;
  AdapterLayout layout_;
  Arena arena_;
  Offsets offsets_;
};

}  // namespace lowrank
