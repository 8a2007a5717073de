#include "base/plugin_file.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace lowrank {

namespace {

// Beside the library or program that this code is in.
std::string beside(const char* name) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&beside), &info) || !info.dli_fname) return name;
  const std::string here = info.dli_fname;
  const size_t slash = here.rfind('/');
  return slash == std::string::npos ? name : here.substr(0, slash + 1) + name;
}

}  // namespace

std::string plugin_path(const PluginFile& f) {
  const char* const named = std::getenv(f.named);
  return named && *named ? named : beside(f.library);
}

const void* open_plugin_file(const PluginFile& f, const std::string& path, const char* interface) {
  const auto fail = [&](const std::string& what) { throw Error(f.code, what, f.where); };
  const std::string what = f.what;
  if (access(path.c_str(), F_OK) != 0) fail("This build has no " + what + ": " + path + " is not there. Build it where " + f.needs + " is, as " + f.page + " says.");
  void* const library = dlopen(path.c_str(), RTLD_NOW | (f.is_global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!library) fail("The " + what + " could not be loaded: " + std::string(dlerror()));
  const auto factory = reinterpret_cast<const void* (*)()>(dlsym(library, f.factory));
  const void* const plugin = factory ? factory() : nullptr;
  if (!plugin) fail(path + " is no " + what.substr(what.rfind(' ') + 1) + " of lowrank.");
  if (std::strcmp(*static_cast<const char* const*>(plugin), interface) != 0) {
    fail(path + " was built for another version of lowrank. Build it again (" + f.page + ").");
  }
  return plugin;
}

}  // namespace lowrank
