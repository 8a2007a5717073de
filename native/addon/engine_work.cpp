#include "addon/engine_work.h"

#include <algorithm>
#include <memory>

namespace lowrank::addon {

namespace {

template <class Array, class T>
Result as_array(std::vector<T> values) {
  // Results are copied on their way to the JavaScript thread; arrays are too large for that.
  return [values = std::make_shared<std::vector<T>>(std::move(values))](Napi::Env env) -> Napi::Value {
    Array a = Array::New(env, values->size());
    std::copy(values->begin(), values->end(), a.Data());
    return a;
  };
}

}  // namespace

Result as_number(double v) {
  return [v](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, v); };
}

Result as_tensors(TensorMap t) {
  return [t = std::make_shared<TensorMap>(std::move(t))](Napi::Env env) { return from_tensors(env, std::move(*t)); };
}

Result as_bytes(std::vector<uint8_t> bytes) { return as_array<Napi::Uint8Array>(std::move(bytes)); }
Result as_floats(std::vector<float> values) { return as_array<Napi::Float32Array>(std::move(values)); }

}  // namespace lowrank::addon
