// The functions of the addon that need no engine; engines are in engine_wrap.h.
#include <malloc.h>
#include <napi.h>

#include "addon/convert.h"
#include "addon/engine_wrap.h"
#include "addon/lock.h"
#include "addon/mapped.h"
#include "addon/spec.h"
#include "addon/values.h"
#include "addon/worker.h"
#include "model/finite.h"
#include "ops/backends.h"
#include "quant/dynamic_map.h"

namespace lowrank::addon {

namespace {

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  return guard(info.Env(), [&] { return function(info); });
}

Napi::Value cpu_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guard(env, [&] {
    Napi::Object o = Napi::Object::New(env);
    const Processor found = processor();
    o.Set("isa", found.instruction_set);
    o.Set("available", strings(env, found.available));
    return o;
  });
}

// { found: [{ name, description, memoryBytes, freeBytes }], missing }
Napi::Value devices_found(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Devices all = devices();
  Napi::Array found = Napi::Array::New(env, all.found.size());
  for (uint32_t i = 0; i < all.found.size(); i++) {
    const Device& d = all.found[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("name", d.name);
    o.Set("description", d.description);
    o.Set("memoryBytes", double(d.memory));
    o.Set("freeBytes", double(d.free));
    found.Set(i, o);
  }
  Napi::Object o = Napi::Object::New(env);
  o.Set("found", found);
  o.Set("missing", all.missing);
  return o;
}

// Why there are no groups of ranks, or an empty text.
Napi::Value no_group(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), group_problem()); }

// Heaps of threads that have ended, or that pass their memory on to other threads, may be empty and still resident.
Napi::Value trim_heaps(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return info.Env().Undefined();
}

// Frees an ArrayBuffer's memory now, not when the collector comes to it; its views are empty from then on.
Napi::Value detach(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsArrayBuffer()) throw Napi::TypeError::New(info.Env(), "detach: expected an ArrayBuffer");
  info[0].As<Napi::ArrayBuffer>().Detach();
  return info.Env().Undefined();
}

// One tensor as it is quantised, for files: { codes, absmax, absmaxCodes?, absmaxOffset? }.
Napi::Value quantize(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guard(env, [&]() -> Napi::Value {
    const TensorEntry t = to_tensor(info[0]);
    if (t.shape.size() != 2 || t.quantize.format == Format::f32) throw Error("E_INTERNAL", "quantize: expected a matrix and how to store it.", t.name);
    check_tensor(t);
    const auto file = MappedFile::shared(t.file);
    if (t.offset > file->bytes() - t.bytes) throw Error("E_FILE", t.file + ": the file is cut short. Download it again.", t.file);
    ThreadPool pool(int(to_number(info[1], "threads")));
    Weight w{.data = file->data() + t.offset, .format = t.format, .rows = t.shape[t.transposed], .cols = t.shape[!t.transposed]};
    w.transposed = t.transposed;
    const QuantizedWeight q(w, t.quantize, pool);
    file->check_unchanged();
    check_quantized(t, q);
    file->release_pages(t.offset, t.bytes);
    const auto bytes = [&](const void* p, size_t n) {
      Napi::ArrayBuffer b = Napi::ArrayBuffer::New(env, n);
      std::memcpy(b.Data(), p, n);
      return b;
    };
    Napi::Object o = Napi::Object::New(env);
    o.Set("codes", bytes(q.codes().data(), q.codes().size()));
    o.Set("absmax", bytes(q.absmax().data(), q.absmax().size() * 4));
    if (q.absmax_codes().empty()) return o;
    o.Set("absmaxCodes", bytes(q.absmax_codes().data(), q.absmax_codes().size()));
    o.Set("absmaxOffset", double(q.view().absmax_offset));
    return o;
  });
}

// checkFinite(tensor, threads): Error E_TENSOR_VALUE where it holds NaN or infinity, E_FILE.
Napi::Value checked_finite(const Napi::CallbackInfo& info) {
  check_finite(to_tensor(info[0]), int(to_number(info[1], "threads")));
  return info.Env().Undefined();
}

// Values of the codes of four bits, of the codes of their maxima, and of the codes of an 8-bit optimizer's moments.
Napi::Value quantization_maps(const Napi::CallbackInfo& info) {
  const auto array = [&](const float* p, size_t n) {
    Napi::Float32Array a = Napi::Float32Array::New(info.Env(), n);
    std::copy(p, p + n, a.Data());
    return a;
  };
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("nf4", array(kNf4Values, 16));
  o.Set("fp4", array(kFp4Values, 16));
  o.Set("dynamic", array(dynamic_map(), 256));
  o.Set("dynamicUnsigned", array(dynamic_map_unsigned(), 256));
  return o;
}

// Error where a tensor is missing, or is not as the description says.
Napi::Value check_model(const Napi::CallbackInfo& info) {
  check_source(to_source(info[0]));
  return info.Env().Undefined();
}

// The tensors of an adapter: an array of { name, shape }.
const char* role_name(AdapterTensor::Role role) {
  switch (role) {
    case AdapterTensor::Role::lora_a: return "lora_a";
    case AdapterTensor::Role::lora_b: return "lora_b";
    case AdapterTensor::Role::lora_bias: return "lora_bias";
    case AdapterTensor::Role::magnitude: return "magnitude";
    case AdapterTensor::Role::whole: return "whole";
    case AdapterTensor::Role::embedding: return "embedding";
    case AdapterTensor::Role::head: return "head";
    case AdapterTensor::Role::embedding_rows: return "embedding_rows";
    case AdapterTensor::Role::head_rows: return "head_rows";
  }
  return "";
}

Napi::Value adapter_tensors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const AdapterLayout layout(to_spec(info[0]), to_adapter_spec(info[1]));
  Napi::Array list = Napi::Array::New(env, layout.tensors().size());
  for (uint32_t i = 0; i < layout.tensors().size(); i++) {
    const AdapterTensor& t = layout.tensors()[i];
    Napi::Object o = Napi::Object::New(env);
    o.Set("name", t.name);
    o.Set("shape", from_shape(env, t.rows, t.cols, t.is_vector));
    o.Set("role", role_name(t.role));
    list.Set(i, o);
  }
  return list;
}

Napi::Value plan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guard(env, [&] {
    const ModelSource source = to_source(info[0]);
    const auto items = plan_memory(source, to_adapter_specs(info[1]), to_options(info[2]));
    Napi::Array list = Napi::Array::New(env, items.size());
    for (uint32_t i = 0; i < items.size(); i++) {
      Napi::Object o = Napi::Object::New(env);
      o.Set("name", items[i].name);
      o.Set("bytes", double(items[i].bytes));
      const MemoryPlace place = items[i].place;
      o.Set("place", place == MemoryPlace::mapped ? "mapped" : place == MemoryPlace::device ? "device" : "host");
      if (items[i].idle) o.Set("idle", true);
      list.Set(i, o);
    }
    return list;
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("cpuInfo", Napi::Function::New(env, cpu_info));
  exports.Set("devices", Napi::Function::New(env, guarded<devices_found>));
  exports.Set("groupProblem", Napi::Function::New(env, guarded<no_group>));
  exports.Set("detach", Napi::Function::New(env, detach));
  exports.Set("trimHeaps", Napi::Function::New(env, trim_heaps));
  exports.Set("quantize", Napi::Function::New(env, quantize));
  exports.Set("checkFinite", Napi::Function::New(env, guarded<checked_finite>));
  exports.Set("quantizationMaps", Napi::Function::New(env, quantization_maps));
  exports.Set("checkModel", Napi::Function::New(env, guarded<check_model>));
  exports.Set("adapterTensors", Napi::Function::New(env, guarded<adapter_tensors>));
  exports.Set("planMemory", Napi::Function::New(env, plan));
  exports.Set("mapFile", Napi::Function::New(env, guarded<map_file>));
  exports.Set("copiedBytes", Napi::Function::New(env, guarded<copied_bytes>));
  exports.Set("mappedProblem", Napi::Function::New(env, guarded<mapped_problem>));
  exports.Set("lockFile", Napi::Function::New(env, guarded<lock_file>));
  exports.Set("unlockFile", Napi::Function::New(env, guarded<unlock_file>));
  exports.Set("releasePages", Napi::Function::New(env, guarded<release_pages>));
  exports.Set("Engine", EngineWrap::define(env));
  return exports;
}

}  // namespace

}  // namespace lowrank::addon

static Napi::Object register_addon(Napi::Env env, Napi::Object exports) { return lowrank::addon::init(env, exports); }
NODE_API_MODULE(lowrank, register_addon)
