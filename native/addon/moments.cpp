// The moments of an 8-bit AdamW between JavaScript and the engine.
#include "addon/convert.h"
#include "addon/values.h"
#include "base/error.h"

namespace lowrank::addon {

namespace {

// f(part of the bytes, offset, its bytes) for m, v and, of 8-bit ones, their maxima.
template <class Bytes, class F>
void for_parts(const MomentPart& p, Bytes& b, F&& f) {
  const int64_t each = p.is_8bit ? 1 : 4;
  f(b.m, p.m, p.elements * each);
  f(b.v, p.v, p.elements * each);
  if (!p.is_8bit) return;
  f(b.m_max, p.m_max, p.blocks * 4);
  f(b.v_max, p.v_max, p.blocks * 4);
}

std::vector<uint8_t> bytes_of(const Napi::Value& v, const std::string& what) {
  if (v.IsUndefined()) return {};
  if (!v.IsTypedArray()) throw Error("E_ARGUMENT", "Argument " + what + ": expected a typed array.", what);
  const Napi::TypedArray a = v.As<Napi::TypedArray>();
  const auto* first = static_cast<const uint8_t*>(a.ArrayBuffer().Data()) + a.ByteOffset();
  return {first, first + a.ByteLength()};
}

Napi::Value typed_array(Napi::Env env, const std::vector<uint8_t>& bytes, bool floats) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, bytes.size());
  std::memcpy(buffer.Data(), bytes.data(), bytes.size());
  if (floats) return Napi::Float32Array::New(env, bytes.size() / 4, buffer, 0);
  return Napi::Uint8Array::New(env, bytes.size(), buffer, 0);
}

}  // namespace

MomentMap read_moments(const AdapterSlot& slot) {
  MomentMap map;
  const Buffer from = slot.moment_bytes();
  for (const MomentPart& p : slot.moments()) {
    for_parts(p, map[p.name], [&](std::vector<uint8_t>& to, int64_t offset, int64_t n) {
      to.resize(size_t(n));
      from.read(offset, n, to.data());
    });
  }
  return map;
}

void write_moments(const AdapterSlot& slot, const MomentMap& map) {
  const Buffer to = slot.moment_bytes();
  for (const MomentPart& p : slot.moments()) {
    const auto it = map.find(p.name);
    if (it == map.end()) throw Error("E_ADAPTER", "The optimizer's state of " + p.name + " is missing.", p.name);
    for_parts(p, it->second, [&](const std::vector<uint8_t>& from, int64_t, int64_t n) {
      if (int64_t(from.size()) == n) return;
      throw Error("E_ADAPTER", "The optimizer's state of " + p.name + " has " + std::to_string(from.size()) + " bytes, expected " + std::to_string(n) +
                                   (p.is_8bit ? " (8-bit AdamW)." : " (f32: the tensor is small)."), p.name);
    });
  }
  if (map.size() != slot.moments().size()) {
    throw Error("E_ADAPTER", "The optimizer's state has " + std::to_string(map.size()) + " tensors, the adapter " + std::to_string(slot.moments().size()) + ".");
  }
  // Nothing is changed before everything was found right.
  for (const MomentPart& p : slot.moments()) {
    for_parts(p, map.at(p.name), [&](const std::vector<uint8_t>& from, int64_t offset, int64_t n) { to.write(offset, n, from.data()); });
  }
}

MomentMap to_moments(const Napi::Value& v) {
  MomentMap map;
  for (const auto& [name, o] : map_entries(v, "state.moments")) {
    map[name] = {bytes_of(o.Get("m"), name), bytes_of(o.Get("v"), name), bytes_of(o.Get("mMax"), name), bytes_of(o.Get("vMax"), name)};
  }
  return map;
}

Napi::Value from_moments(Napi::Env env, const MomentMap& moments) {
  const Napi::Object map = env.Global().Get("Map").As<Napi::Function>().New({});
  const Napi::Function set = map.Get("set").As<Napi::Function>();
  for (const auto& [name, b] : moments) {
    const Napi::HandleScope scope(env);
    Napi::Object o = Napi::Object::New(env);
    const bool is_8bit = !b.m_max.empty();
    o.Set("m", typed_array(env, b.m, !is_8bit));
    o.Set("v", typed_array(env, b.v, !is_8bit));
    if (is_8bit) {
      o.Set("mMax", typed_array(env, b.m_max, true));
      o.Set("vMax", typed_array(env, b.v_max, true));
    }
    set.Call(map, {Napi::String::New(env, name), o});
  }
  return map;
}

}  // namespace lowrank::addon
