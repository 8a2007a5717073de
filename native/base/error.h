// The one exception type of the native code. It crosses the addon as data: {code, message, where}.
#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace lowrank {

struct Error : std::runtime_error {
  // code: a stable identifier such as "E_TENSOR_SHAPE"; where: the file, key, tensor or operation concerned.
  Error(std::string code_, const std::string& message, std::string where_ = "")
      : std::runtime_error(message), code(std::move(code_)), where(std::move(where_)) {}
  std::string code, where;
};

// A broken contract between operations (shapes, dtypes): a bug, reported instead of undefined behaviour.
inline void check(bool ok, const char* what, const char* where) {
  if (!ok) throw Error("E_INTERNAL", std::string(where) + ": " + what, where);
}

}  // namespace lowrank
