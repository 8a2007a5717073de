// JavaScript values with their types checked. Error E_ARGUMENT, naming `what` or the key.
#pragma once
#include <napi.h>

#include <string>
#include <utility>
#include <vector>

namespace lowrank::addon {

[[noreturn]] void fail(const std::string& what, const char* expected);

double to_number(const Napi::Value&, const char* what);
std::string to_string(const Napi::Value&, const char* what);
Napi::Object to_object(const Napi::Value&, const char* what);
Napi::Array to_array(const Napi::Value&, const char* what);
// Number of an adapter or text: an optional argument, 0 without it.
int place(const Napi::CallbackInfo&, size_t argument);
Napi::Array strings(Napi::Env, const std::vector<std::string>&);
Napi::Int32Array int32_array(const Napi::Value&, const char* what);
// The entries of a Map whose values are objects.
std::vector<std::pair<std::string, Napi::Object>> map_entries(const Napi::Value&, const char* what);

// Values of an object by their keys; undefined and null are absent.
double number(const Napi::Object&, const char* key);
double number_or(const Napi::Object&, const char* key, double otherwise);
int64_t integer(const Napi::Object&, const char* key);
int64_t integer_or(const Napi::Object&, const char* key, int64_t otherwise);
bool boolean(const Napi::Object&, const char* key);

}  // namespace lowrank::addon
