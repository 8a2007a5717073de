#include "train/adapter_slot.h"

namespace lowrank {

namespace {
constexpr int64_t kMostRank = 1 << 16;
}

void check_adapter_spec(const AdapterSpec& s) {
  if (s.rank < 1 || s.rank > kMostRank) {
    throw Error("E_OPTIONS", "The adapter's rank is " + std::to_string(s.rank) + ", expected 1 to " + std::to_string(kMostRank) + ".", "lora_r");
  }
  if (!(s.dropout >= 0 && s.dropout < 1)) {
    throw Error("E_OPTIONS", "lora_dropout is " + std::to_string(s.dropout) + ", expected 0 <= lora_dropout < 1.", "lora_dropout");
  }
}

AdapterSlot::Offsets::Offsets(Arena& arena, const AdapterLayout& layout, const EngineOptions& o) {
  const int64_t bytes = layout.elements() * int64_t(sizeof(float));
  parameters = arena.reserve("adapters", bytes);
  if (!o.training) return;
  gradients = arena.reserve("gradients", bytes);
  if (o.adamw_8bit) {
    adam_8bit = MomentLayout(layout);
    moments = arena.reserve("optimizer", adam_8bit.bytes());
  } else {
    adam_m = arena.reserve("optimizer", bytes);
    adam_v = arena.reserve("optimizer", bytes);
  }
}

void AdapterSlot::plan(Arena& arena, const AdapterLayout& layout, const EngineOptions& options) { Offsets(arena, layout, options); }

AdapterSlot::AdapterSlot(Backend& backend, const ModelSpec& model, const AdapterSpec& spec, const EngineOptions& options)
    : backend_(backend), options_(options), spec_(spec), layout_(model, spec), offsets_(arena_, layout_, options) {
  arena_.commit(backend.allocate(arena_.total_bytes()));
  for (const AdapterTensor& t : layout_.tensors()) {
    const std::vector<float> values = initial_values(t, spec.seed);
    parameters().write(t.offset * 4, t.elements() * 4, values.data());
  }
}

Adapter AdapterSlot::view() const {
  return {layout_, spec_, arena_.at<float>(offsets_.parameters), options_.training ? arena_.at<float>(offsets_.gradients) : nullptr};
}

int64_t AdapterSlot::training(int64_t offset) const {
  if (!options_.training) throw Error("E_STATE", "This engine was opened without training.");
  return offset;
}

int64_t AdapterSlot::f32_moments(int64_t offset) const {
  if (options_.adamw_8bit) throw Error("E_STATE", "This engine's optimizer keeps its moments in 8 bits.");
  return training(offset);
}

Buffer AdapterSlot::moment_bytes() const {
  if (!options_.adamw_8bit) throw Error("E_STATE", "This engine's optimizer keeps its moments in f32.");
  return buffer(training(offsets_.moments));
}

void AdapterSlot::update(const AdamWArgs& step) const {
  AdamWArgs all = step;
  all.p = arena_.at<float>(offsets_.parameters);
  all.g = arena_.at<float>(training(offsets_.gradients));
  all.n = layout_.elements();
  if (!options_.adamw_8bit) {
    all.m = arena_.at<float>(offsets_.adam_m);
    all.v = arena_.at<float>(offsets_.adam_v);
    return backend_.adamw(all);
  }
  for (const MomentPart& part : moments()) {
    const auto bytes = [&](int64_t offset) { return arena_.at<uint8_t>(offsets_.moments + offset); };
    const auto floats = [&](int64_t offset) { return arena_.at<float>(offsets_.moments + offset); };
    AdamWArgs one = all;
    one.p += part.begin;
    one.g += part.begin;
    one.n = part.elements;
    if (part.is_8bit) {
      backend_.adamw_8bit({one, bytes(part.m), bytes(part.v), floats(part.m_max), floats(part.v_max)});
    } else {
      one.m = floats(part.m);
      one.v = floats(part.v);
      backend_.adamw(one);
    }
  }
}

void AdapterSlot::clear_gradients() const {
  backend_.zero({Mat(arena_.at(training(offsets_.gradients)), DType::f32, 1, layout_.elements())});
}

}  // namespace lowrank
