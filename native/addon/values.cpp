#include "addon/values.h"

#include <cmath>

#include "base/error.h"

namespace lowrank::addon {

[[noreturn]] void fail(const std::string& what, const char* expected) {
  throw Error("E_ARGUMENT", "Argument " + what + ": expected " + expected + ".", what);
}

Napi::Object to_object(const Napi::Value& v, const char* what) {
  if (!v.IsObject()) fail(what, "an object");
  return v.As<Napi::Object>();
}

Napi::Array to_array(const Napi::Value& v, const char* what) {
  if (!v.IsArray()) fail(what, "an array");
  return v.As<Napi::Array>();
}

double number(const Napi::Object& o, const char* key) { return to_number(o.Get(key), key); }

int64_t integer(const Napi::Object& o, const char* key) {
  const double d = number(o, key);
  if (d != std::floor(d) || std::abs(d) > 9007199254740991.0) fail(key, "an integer");
  return int64_t(d);
}

double number_or(const Napi::Object& o, const char* key, double otherwise) {
  const Napi::Value v = o.Get(key);
  return v.IsUndefined() || v.IsNull() ? otherwise : to_number(v, key);
}

int64_t integer_or(const Napi::Object& o, const char* key, int64_t otherwise) {
  const Napi::Value v = o.Get(key);
  return v.IsUndefined() || v.IsNull() ? otherwise : integer(o, key);
}

int place(const Napi::CallbackInfo& info, size_t argument) {
  if (info.Length() <= argument || info[argument].IsUndefined()) return 0;
  const double n = to_number(info[argument], "number of adapter or text");
  if (n != double(int(n))) fail("number of adapter or text", "a whole number");
  return int(n);
}

Napi::Array strings(Napi::Env env, const std::vector<std::string>& list) {
  Napi::Array a = Napi::Array::New(env, list.size());
  for (uint32_t i = 0; i < list.size(); i++) a.Set(i, list[i]);
  return a;
}

Napi::Int32Array int32_array(const Napi::Value& v, const char* what) {
  if (!v.IsTypedArray() || v.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) fail(what, "an Int32Array");
  return v.As<Napi::Int32Array>();
}

bool boolean(const Napi::Object& o, const char* key) {
  const Napi::Value v = o.Get(key);
  if (!v.IsBoolean()) fail(key, "true or false");
  return v.As<Napi::Boolean>().Value();
}

double to_number(const Napi::Value& v, const char* what) {
  if (!v.IsNumber()) fail(what, "a number");
  return v.As<Napi::Number>().DoubleValue();
}

std::string to_string(const Napi::Value& v, const char* what) {
  if (!v.IsString()) fail(what, "a string");
  return v.As<Napi::String>().Utf8Value();
}

std::vector<std::pair<std::string, Napi::Object>> map_entries(const Napi::Value& v, const char* what) {
  const Napi::Object array = v.Env().Global().Get("Array").As<Napi::Object>();
  const Napi::Array list = array.Get("from").As<Napi::Function>().Call(array, {to_object(v, what)}).As<Napi::Array>();
  std::vector<std::pair<std::string, Napi::Object>> entries;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Object entry = to_object(list.Get(i), what);
    entries.emplace_back(to_string(entry.Get(0u), what), to_object(entry.Get(1u), what));
  }
  return entries;
}

}  // namespace lowrank::addon
