#include "addon/generation.h"

#include <algorithm>
#include <optional>

#include "addon/spec.h"
#include "addon/values.h"

namespace lowrank::addon {

EngineWork generate_start(const Napi::CallbackInfo& info) {
  const int number = place(info, 2), text = place(info, 3), like = info[4].IsUndefined() ? Engine::kNoText : place(info, 4);
  return [prompt = to_int32s(info[0], "prompt"), sampling = to_sampling(info[1]), number, text, like](Engine& e) {
    return as_number(e.generate_start(prompt, sampling, number, text, like));
  };
}

EngineWork generate_next(const Napi::CallbackInfo& info) {
  const auto token = int32_t(to_number(info[0], "token"));
  return [token, text = place(info, 1)](Engine& e) { return as_number(e.generate_next(token, text)); };
}

EngineWork generate_next_of(const Napi::CallbackInfo& info) {
  return [texts = to_int32s(info[0], "texts"), tokens = to_int32s(info[1], "tokens")](Engine& e) -> Result {
    return [found = e.generate_next_of(texts, tokens)](Napi::Env env) -> Napi::Value {
      Napi::Int32Array array = Napi::Int32Array::New(env, found.size());
      std::copy(found.begin(), found.end(), array.Data());
      return array;
    };
  };
}

EngineWork merged_weight(const Napi::CallbackInfo& info) {
  const auto decoded = info[2].IsUndefined() ? std::nullopt : std::optional(dtype_of(to_format(to_string(info[2], "decoded"))));
  return [module = to_string(info[0], "module"), number = place(info, 1), decoded](Engine& e) { return as_bytes(e.merged_weight(module, number, decoded)); };
}

EngineWork merged_bias(const Napi::CallbackInfo& info) {
  const DType type = dtype_of(to_format(to_string(info[1], "dtype")));
  return [module = to_string(info[0], "module"), type, number = place(info, 2)](Engine& e) { return as_bytes(e.merged_bias(module, type, number)); };
}

}  // namespace lowrank::addon
