#include "addon/mapped.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "addon/values.h"
#include "base/error.h"
#include "io/mapped_file.h"

namespace lowrank::addon {

namespace {

// Mappings by address: a buffer that is not among them has no pages to give back.
std::mutex mutex;
std::map<const void*, std::unique_ptr<MappedFile>> mapped;

void unmap(Napi::Env, void* data) {
  std::lock_guard lock(mutex);
  mapped.erase(data);
}

}  // namespace

namespace {

// Its path and its change, in a sentence that names the remedy; nothing where the memory is nobody's or the file unchanged.
std::optional<std::pair<std::string, std::string>> problem_of(const void* data) {
  std::lock_guard lock(mutex);
  const auto it = mapped.find(data);
  if (it == mapped.end()) return std::nullopt;
  const auto change = it->second->change();
  if (!change) return std::nullopt;
  const std::string& path = it->second->path();
  return std::pair(path, path + ": the cache file " + *change +
                             ". What was computed with it is dropped. Start again: a cache file that is damaged is made anew.");
}

}  // namespace

void check_mapped(const void* data) {
  if (const auto problem = problem_of(data)) throw Error("E_CACHE", problem->second, problem->first);
}

Napi::Value map_file(const Napi::CallbackInfo& info) {
  // Private: bytes that JavaScript writes there by mistake reach neither the file nor anybody else.
  auto file = std::make_unique<MappedFile>(to_string(info[0], "path"), MappedFile::Access::private_copy, to_string(info[1], "name"));
  if (file->bytes() == 0) return Napi::ArrayBuffer::New(info.Env(), 0);
  void* data = const_cast<char*>(file->data());
  const auto bytes = size_t(file->bytes());
  {
    std::lock_guard lock(mutex);
    mapped[data] = std::move(file);
  }
  return Napi::ArrayBuffer::New(info.Env(), data, bytes, unmap);
}

Napi::Value release_pages(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) throw Error("E_ARGUMENT", "Argument buffer: expected an ArrayBuffer.", "buffer");
  std::lock_guard lock(mutex);
  const auto it = mapped.find(info[0].As<Napi::ArrayBuffer>().Data());
  if (it != mapped.end()) it->second->release_pages();
  return info.Env().Undefined();
}

Napi::Value mapped_problem(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) throw Error("E_ARGUMENT", "Argument buffer: expected an ArrayBuffer.", "buffer");
  const auto problem = problem_of(info[0].As<Napi::ArrayBuffer>().Data());
  if (!problem) return info.Env().Null();
  return Napi::String::New(info.Env(), problem->second);
}

Napi::Value copied_bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), double(MappedFile::copied_bytes(to_string(info[0], "path"))));
}

}  // namespace lowrank::addon
